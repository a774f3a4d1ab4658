"""What `invert.py --dry_run` prints: the resolved plan, without running it."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from rtil_jax import data
from rtil_jax.devices import data_mesh, replicated
from rtil_jax.experiments.estimate import (
    ProgramWork,
    compiled_cost,
    duration,
    measured_speed,
    same_program,
    time_line,
    work_of,
)
from rtil_jax.experiments.inversion.inversion_config import build_method
from rtil_jax.experiments.inversion.noise_levels import describe_noise, noise_record
from rtil_jax.experiments.inversion.settings import (
    expand,
    perceptual_loss,
    perceptual_weight,
)
from rtil_jax.experiments.inversion.shards import Shard
from rtil_jax.experiments.inversion.work import Work, divide
from rtil_jax.experiments.training.training_plan import count_parameters
from rtil_jax.inversion.inverting import Method
from rtil_jax.inversion.perceptual_loss import PerceptualLoss
from rtil_jax.inversion.problems import Problem, settle
from rtil_jax.inversion.programs import stage_programs
from rtil_jax.metrics.perceptual import Perceptual
from rtil_jax.operators import sample_operators
from rtil_jax.priors.prior import Prior


@dataclasses.dataclass(frozen=True)
class BatchPlan:
    """One batch in one setting, with one prior.

    Attributes:
        steps: of each stage.
        programs: (jitted function, *arguments) of each stage, as they are called.
        single: likewise, of one step at a time, because XLA counts the body of a loop
            once.
    """

    steps: list[int]
    programs: list[tuple]
    single: list[tuple]


def plan_batch(
    prior: Prior,
    method: Method,
    problem: str,
    ratio: float,
    batch: int,
    perceptual: PerceptualLoss | None = None,
) -> BatchPlan:
    """The programs for `batch` images, restarts included; nothing is computed."""
    mesh = data_mesh()
    prior, perceptual = jax.device_put((prior, perceptual), replicated(mesh))

    def setup(keys):
        operators = sample_operators(problem, keys, prior.image_shape, ratio)
        truth = jnp.zeros((keys.shape[0], *prior.image_shape), jnp.float32)
        measurements = jax.vmap(lambda operator, x: operator(x))(operators, truth)
        start = jax.vmap(method.start, in_axes=(None, 0))
        data = settle(Problem(operators, measurements, truth), prior.image_shape)
        data = data if perceptual is None else perceptual.prepare(data)
        return data, start(prior, keys)

    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), batch))
    data, variables = jax.eval_shape(setup, keys)
    stages = method.stages(prior.generator)
    given = prior, perceptual, data, variables, keys
    programs = functools.partial(
        stage_programs, stages, *given, select="measurement", mesh=mesh
    )
    steps = [stage.steps + 1 for stage in stages]
    return BatchPlan(steps, programs(), programs(at_once=1))


def step_memory(*arguments: Any) -> int:
    """Bytes that the costliest stage's step needs per device; see `plan_batch`."""
    programs = plan_batch(*arguments).programs
    return max(
        compiled_cost(function.lower(*given))[0] for function, *given in programs
    )


def print_plan(
    config: ConfigDict,
    priors: dict[str, Prior],
    distances: dict[str, Perceptual],
    images: data.ImageSet,
    num_images: int,
    shard: Shard,
) -> None:
    """Devices, images, batches, priors, stages, this part, its memory and time.

    `images` are the first of the `num_images` to recover.
    """
    mesh, work = data_mesh(), divide(config, priors, num_images, shard)
    size, snr = len(work.batches[0]), noise_record(config, images)
    print(f"""inversion plan
  devices      {mesh.size} x {mesh.devices.flat[0].device_kind}
  images       {images.describe(num_images)}, cut to squares of \
{images.resolution} x {images.resolution}
  batches      {len(work.batches):,} x {size} images in each of \
{len(work.settings)} settings""")
    for name, prior in priors.items():
        shape = " x ".join(map(str, prior.image_shape))
        print(f"""  prior        {name}: {config.priors[name]}, {shape}, \
{count_parameters(prior.variables):,} parameters""")
    plans: dict[tuple, BatchPlan] = {}
    for label, one in expand(config):
        starts = size * one.restarts
        starts += -starts % mesh.size
        print(f"""  setting      {label}: {one.problem}, ratios {tuple(one.ratios)}
    selection  {one.select}, {one.restarts} starts
    noise      {describe_noise(one, snr.get(label))}""")
        for name, prior in priors.items():
            plan = _plan_of(one, name, prior, distances, starts)
            plans[label, one.problem, one.select, name] = plan
            _print_method(one, name, plan)
    _print_part(work, plans, shard)


def _plan_of(
    config: ConfigDict, name: str, prior: Prior, distances: dict, starts: int
) -> BatchPlan:
    """At the setting's largest ratio."""
    method, ratio = build_method(config, name), float(max(config.ratios))
    loss = perceptual_loss(config, name, ratio, distances)
    return plan_batch(prior, method, config.problem, ratio, starts, loss)


def _print_method(config: ConfigDict, name: str, plan: BatchPlan) -> None:
    """Lines about one prior in one setting."""
    weights = {r: perceptual_weight(config, name, r) for r in config.ratios}
    terms = [f"{w:g} at {r:g}" for r, w in weights.items() if w]
    perceptual = f"{config.perceptual.distance} {', '.join(terms)}" if terms else "none"
    print(f"""    method     {name}: {build_method(config, name)}
    steps      {" + ".join(str(steps - 1) for steps in plan.steps)} per batch and ratio
    perceptual {perceptual}""")


def _print_part(work: Work, plans: dict[tuple, BatchPlan], shard: Shard) -> None:
    """What is this process's, and what it takes if none of it is done yet."""
    part = "all of it"
    if shard.count > 1:
        part = f"shard {shard.index + 1} of {shard.count}"
    numbers = "no batch"
    if work.mine:
        numbers = f"batches {work.mine[0] + 1:,} to {work.mine[-1] + 1:,}"
    print(f"  this part    {part}: {numbers} of {work.total:,}")
    if work.mine:
        _print_costs(work, plans)


def _print_costs(work: Work, plans: dict[tuple, BatchPlan]) -> None:
    """Memory of the program that does most, and the time of this process's batches."""
    known: dict[tuple, ProgramWork] = {}  # several priors and methods share programs
    lengths: dict[tuple, int] = {}  # of those that are compiled
    found: list[tuple[ProgramWork, tuple]] = []
    operations, steps = 0.0, 0
    for number, (_, name, setting) in enumerate(work.settings):
        plan = plans[(*(setting[c] for c in ("method", "problem", "select")), name)]
        batches = len(work.own(number))
        stages = zip(plan.steps, plan.programs, plan.single, strict=True)
        for count, program, single in stages if batches else ():
            key = same_program(*single)
            if key not in known:
                function, *given = single
                known[key] = work_of(function.lower(*given))
                found.append((known[key], program))
            lengths[*key, setting["ratio"]] = known[key].length
            steps += batches * count
            operations += batches * count * known[key].operations
    function, *given = max(found, key=lambda pair: pair[0].traffic)[1]
    memory, per_line = compiled_cost(function.lower(*given))
    speed = measured_speed()
    running = operations / data_mesh().size / speed
    what = f"{steps:,} steps at {duration(running / steps)}"
    line = time_line(running, per_line * sum(lengths.values()), what, speed)
    print(f"  memory       {memory / 2**20:,.0f} MiB per device\n  time         {line}")
