"""What `invert.py --dry_run` prints: the resolved plan, without running it."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from rtil_jax import data
from rtil_jax.devices import data_mesh, replicated
from rtil_jax.estimate import (
    duration,
    measured_speed,
    operations,
    program_cost,
    time_line,
)
from rtil_jax.inversion.defaults import build_method
from rtil_jax.inversion.inverting import Method
from rtil_jax.inversion.noise import describe_noise, noise_record
from rtil_jax.inversion.perceptual_loss import PerceptualLoss
from rtil_jax.inversion.prior import Prior
from rtil_jax.inversion.problems import Problem, settle
from rtil_jax.inversion.programs import stage_programs
from rtil_jax.inversion.settings import expand, perceptual_loss, perceptual_weight
from rtil_jax.inversion.shards import Shard
from rtil_jax.inversion.work import Work, divide
from rtil_jax.operators import sample_operators
from rtil_jax.perceptual import Perceptual
from rtil_jax.training.plan import count_parameters


@dataclasses.dataclass(frozen=True)
class BatchCost:
    """Of one batch in one setting, with one prior.

    Attributes:
        memory: bytes that the costliest stage needs per device.
        steps: of all stages.
        operations: of all steps, on one device.
        compiling: seconds of compiling, once for all batches.
    """

    memory: int
    steps: int
    operations: float
    compiling: float


def batch_cost(
    prior: Prior,
    method: Method,
    problem: str,
    ratio: float,
    batch: int,
    perceptual: PerceptualLoss | None = None,
) -> BatchCost:
    """What XLA says of the programs for `batch` images, restarts included."""
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
    costs = [program_cost(*program) for program in programs()]
    # XLA counts the body of a loop once, so one step at a time.
    single = programs(at_once=1)
    counts = [stage.steps + 1 for stage in stages]
    each = [operations(function.lower(*given)) for function, *given in single]
    return BatchCost(
        memory=max(cost.memory for cost in costs),
        steps=sum(counts),
        operations=sum(n * x for n, x in zip(counts, each, strict=True)) / mesh.size,
        compiling=sum(cost.compiling for cost in costs),
    )


def step_memory(*arguments: Any) -> int:
    """Bytes that the costliest stage's step needs per device; see `batch_cost`."""
    return batch_cost(*arguments).memory


def print_plan(
    config: ConfigDict,
    priors: dict[str, Prior],
    distances: dict[str, Perceptual],
    images: data.ImageSet,
    num_images: int,
    shard: Shard,
) -> None:
    """Devices, images, batches, priors, stages, memory, this part and its time.

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
    costs: dict[tuple, BatchCost] = {}
    for label, one in expand(config):
        starts = size * one.restarts
        starts += -starts % mesh.size
        print(f"""  setting      {label}: {one.problem}, ratios {tuple(one.ratios)}
    selection  {one.select}, {one.restarts} starts
    noise      {describe_noise(one, snr.get(label))}""")
        for name, prior in priors.items():
            cost = _cost_of(one, name, prior, distances, starts)
            costs[label, one.problem, one.select, name] = cost
            print(_plan_of(one, name, prior, cost))
    _print_part(work, costs, shard)


def _cost_of(
    config: ConfigDict, name: str, prior: Prior, distances: dict, starts: int
) -> BatchCost:
    """At the setting's largest ratio."""
    method, ratio = build_method(config, name), float(max(config.ratios))
    loss = perceptual_loss(config, name, ratio, distances)
    return batch_cost(prior, method, config.problem, ratio, starts, loss)


def _plan_of(config: ConfigDict, name: str, prior: Prior, cost: BatchCost) -> str:
    """Lines about one prior in one setting."""
    method = build_method(config, name)
    steps = " + ".join(str(stage.steps) for stage in method.stages(prior.generator))
    weights = {r: perceptual_weight(config, name, r) for r in config.ratios}
    terms = [f"{w:g} at {r:g}" for r, w in weights.items() if w]
    perceptual = f"{config.perceptual.distance} {', '.join(terms)}" if terms else "none"
    return f"""    method     {name}: {method}
    steps      {steps} per batch and ratio
    perceptual {perceptual}
    memory     {cost.memory / 2**20:,.0f} MiB per device"""


def _print_part(work: Work, costs: dict[tuple, BatchCost], shard: Shard) -> None:
    """What is this process's, and how long it takes if none of it is done yet."""
    running = compiling = 0.0
    steps = 0
    for number, (_, name, setting) in enumerate(work.settings):
        key = (*(setting[c] for c in ("method", "problem", "select")), name)
        cost, count = costs[key], len(work.own(number))
        steps += count * cost.steps
        running += count * cost.operations
        compiling += cost.compiling if count else 0
    part = "all of it"
    if shard.count > 1:
        part = f"shard {shard.index + 1} of {shard.count}"
    numbers = "no batch"
    if work.mine:
        numbers = f"batches {work.mine[0] + 1:,} to {work.mine[-1] + 1:,}"
    print(f"  this part    {part}: {numbers} of {work.total:,}")
    if steps:
        speed = measured_speed()
        what = f"{steps:,} steps at {duration(running / speed / steps)}"
        print(f"  time         {time_line(running / speed, compiling, what, speed)}")
