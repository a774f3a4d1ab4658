"""Prepares one stage of one method of this library, for comparisons of its steps."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from rtil_jax import generators
from rtil_jax.devices import batch_sharded, data_mesh, replicated
from rtil_jax.generators import Generator
from rtil_jax.inversion import ILO, MGANPrior, Prior, Problem, make_problem
from rtil_jax.inversion.at_once import STEPS_AT_ONCE
from rtil_jax.inversion.solver import begin, descend
from rtil_jax.inversion.stages import Stage, take_free

BLOCKS = {32: 2, 64: 3, 128: 4, 256: 4}  # where mGANprior mixes its codes
# The schedule is no part of what is timed.
RATES = np.full(STEPS_AT_ONCE, 0.1, np.float32)


@dataclasses.dataclass(frozen=True)
class Task:
    """A stage at its start.

    Attributes:
        start: what `Stage.begin` returned.
        iterate: the solver's first.
    """

    prior: Prior
    problem: Problem
    stage: Stage
    start: Any
    iterate: Any

    @property
    def mask(self) -> Any:
        """Which of the variables are moved."""
        return self.stage.free(self.prior, self.start)

    def arguments(self, iterate: Any) -> tuple:
        """Of the solver's jitted step."""
        return (
            *(self.stage, "measurement", data_mesh(), self.prior, None, self.problem),
            *(self.start, iterate, RATES, STEPS_AT_ONCE),
        )

    def steps(self) -> Callable[[], None]:
        """A call makes `STEPS_AT_ONCE` on every image, as `invert`'s, and waits."""
        now = [jax.tree.map(jax.numpy.copy, self.iterate)]  # a step donates it

        def call():
            now[0], _ = descend(*self.arguments(now[0]))
            jax.block_until_ready(now)

        return call

    def cost(self) -> dict[str, float]:
        """XLA's own count of a step's `flops` and `bytes accessed`.

        It counts the body of a loop once, so this is one step and what comes before.
        """
        return descend.lower(*self.arguments(self.iterate)).compile().cost_analysis()


def _task(method, index, prior, batch) -> Task:
    prior = jax.device_put(prior, replicated(data_mesh()))
    truth = jax.random.uniform(
        jax.random.key(1), (batch, *prior.image_shape), minval=-1.0
    )
    problem, keys = make_problem(
        "compressed_sensing", truth, np.arange(batch), ratio=0.1, seed=0
    )
    variables = jax.jit(jax.vmap(method.start, (None, 0)))(prior, keys)
    stages = method.stages(prior.generator)
    for stage in stages[:index]:
        variables, _ = begin(stage, prior, variables)
    ready = problem, *begin(stages[index], prior, variables)
    ready = jax.device_put(ready, batch_sharded(data_mesh()))
    problem, start, iterate = ready
    return Task(prior, problem, stages[index], start, iterate)


def ilo(generator: Generator, variables: dict, block: int, batch: int) -> Task:
    """Stage `block` of ILO with a partial circulant operator, 10 % measurements."""
    method = ILO(steps=(1,) * (block + 1))
    return _task(method, block, Prior.of(generator, variables), batch)


def mganprior(
    generator: Generator, variables: dict, block: int, batch: int, codes: int = 20
) -> Task:
    """The stage of mGANprior, likewise."""
    method = MGANPrior(codes=codes, block=block, steps=1)
    return _task(method, 0, Prior(generator, variables), batch)


def make_task(
    method: str, resolution: int, batch: int, precision: str = "float32"
) -> Task:
    """`ilo 0`, `ilo 2` (the stage) or `mganprior`, of the paper's networks.

    Weights are random: they do not change the time.
    """
    styled = method != "mganprior"
    kind = generators.StyleGAN2Generator if styled else generators.PGGANGenerator
    generator = kind(resolution, precision=precision)
    variables = generators.init(generator, jax.random.key(0))
    if styled:
        return ilo(generator, variables, int(method.split()[1]), batch)
    return mganprior(generator, variables, BLOCKS[resolution], batch)


def named(free: dict) -> dict[str, Any]:
    """A tree of free variables, or of their gradient, under the baselines' names."""
    latents = dict(free["latents"])
    noises = [x for x in latents.pop("noises", ()) if x is not None]
    rest = {name: x for name, x in free.items() if name != "latents"}
    return latents | rest | {f"noise_{i}": x for i, x in enumerate(noises)}


def ilo_variables(task: Task) -> dict[str, Any]:
    """What ILO's baselines start from."""
    variables = named(take_free(task.mask, task.start))
    z_k = variables.pop("intermediates").get(task.stage.block)
    if z_k is not None:
        variables["features"] = task.start["features"].activations + z_k
    return variables


def ilo_constants(task: Task) -> dict[str, Any]:
    """The other arguments of `torch_inversion.ilo_render`."""
    fit = task.prior.style_fit
    features = task.start.get("features")
    skip = np.zeros(()) if features is None else features.rgb
    moved = task.mask["latents"]["noises"].count(True)
    kept = task.start["latents"]["noises"][moved:]
    return {"mean": fit.mean, "std": fit.std, "kept": kept, "skip": skip}


def mganprior_variables(task: Task) -> dict[str, Any]:
    """What mGANprior's baselines start from."""
    return {"codes": task.start["latents"]["z"], "weights": task.start["weights"]}
