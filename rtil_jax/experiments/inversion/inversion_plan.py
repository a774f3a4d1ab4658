"""Prints the plan of an inversion for `--dry_run`, without running it."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rtil_jax.compiling import same_program
from rtil_jax.devices import data_mesh, replicated
from rtil_jax.experiments.estimate import (
    ProgramWork,
    compiled_cost,
    duration,
    measured_speed,
    time_line,
    work_of,
)
from rtil_jax.experiments.inversion.inputs import (
    image_shape,
    perceptual_loss,
    prior_of,
)
from rtil_jax.experiments.inversion.inversion_entries import Entry
from rtil_jax.experiments.inversion.inversion_run import InversionRun
from rtil_jax.experiments.inversion.measuring import problem_of
from rtil_jax.experiments.inversion.noise_levels import describe_noise, noise_record
from rtil_jax.experiments.inversion.shards import Shard
from rtil_jax.experiments.inversion.work import Work, divide
from rtil_jax.experiments.measurements.measured import Measured, Subjects
from rtil_jax.experiments.training.training_plan import count_parameters
from rtil_jax.inversion.inverting import Method
from rtil_jax.inversion.perceptual_loss import PerceptualLoss
from rtil_jax.inversion.problems import Problem, settle
from rtil_jax.inversion.programs import stage_programs
from rtil_jax.inversion.stages import Variables
from rtil_jax.inversion.units import prior_for
from rtil_jax.metrics.perceptual import Perceptual
from rtil_jax.operators import sample_operators
from rtil_jax.priors.prior import Prior


@dataclasses.dataclass(frozen=True)
class BatchPlan:
    """The plan of one batch in one setting, with one prior.

    Attributes:
        steps: number of steps of each stage.
        programs: (jitted function, *arguments) of each stage, as they are called.
        single: likewise with one step per call, because XLA counts the body of a loop
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
    """Plans a batch of simulated images without computing anything.

    Args:
        prior: the prior.
        method: the method.
        problem: a name in `operators.OPERATORS`.
        ratio: how much is measured.
        batch: number of images, times the number of restarts.
        perceptual: the perceptual loss, or None.
    """

    def simulated() -> Problem:
        keys = jax.random.split(jax.random.key(0), batch)
        operators = sample_operators(problem, keys, prior.image_shape, ratio)
        truth = jnp.zeros((batch, *prior.image_shape), jnp.float32)
        measurements = jax.vmap(lambda operator, x: operator(x))(operators, truth)
        return Problem(operators, measurements, truth)

    return _plan_problem(prior, method, simulated, batch, perceptual)


def _plan_problem(
    prior: Prior,
    method: Method,
    problem: Callable[[], Problem],
    batch: int,
    perceptual: PerceptualLoss | None,
) -> BatchPlan:
    """Plans a batch from the shapes of its problem."""
    mesh = data_mesh()
    prior = prior_for(method, prior)
    prior, perceptual = jax.device_put((prior, perceptual), replicated(mesh))

    def setup(keys: jax.Array) -> tuple[Problem, Variables]:
        data = settle(problem(), prior.image_shape)
        data = data if perceptual is None else perceptual.prepare(data)
        return data, jax.vmap(method.start, in_axes=(None, 0))(prior, keys)

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
    """Returns the bytes per device that the largest stage needs; see `plan_batch`."""
    programs = plan_batch(*arguments).programs
    return max(
        compiled_cost(function.lower(*given))[0] for function, *given in programs
    )


def print_plan(
    run: InversionRun,
    priors: dict[str, Prior],
    distances: dict[str, Perceptual],
    images: Subjects,
    num_images: int,
    shard: Shard,
) -> None:
    """Prints devices, images, batches, priors, stages, and the cost of this part.

    Args:
        run: the inversion.
        priors: the priors by name.
        distances: the distances of perceptual losses by name.
        images: the first of the images to recover, or all measurements.
        num_images: number of images to recover.
        shard: the part of this process.
    """
    mesh, work = data_mesh(), divide(run, num_images, shard)
    size, snr = len(work.batches[0]), noise_record(run, images)
    if isinstance(images, Measured):
        what = "nothing is simulated"
        cuts = f"{images.describe_cuts()}, y {images.y.shape[1:]} each"
    else:
        what = "simulates measurements of clean images"
        cuts = f"cut to squares of {images.resolution} x {images.resolution}"
    print(f"""inversion plan: {what}
  devices      {mesh.size} x {mesh.devices.flat[0].device_kind}
  images       {images.describe(num_images)}, {cuts}
  batches      {len(work.batches):,} x {size} images in each of \
{work.entries} settings""")
    for name, prior in priors.items():
        sides = " x ".join(map(str, prior.image_shape))
        print(f"""  prior        {name}: {run.priors[name]}, {sides}, \
{count_parameters(prior.variables):,} parameters""")
    plans: dict[tuple, BatchPlan] = {}
    for setting, entries in run.settings.items():
        first, ratios = entries[0], tuple(dict.fromkeys(e.ratio for e in entries))
        starts = size * first.restarts
        starts += -starts % mesh.size
        print(f"""  setting      {setting.label}: {setting.problem}, ratios {ratios}
    selection  {setting.select}, {first.restarts} starts
    noise      {describe_noise(first, run.images.range, snr)}""")
        for name in dict.fromkeys(entry.prior for entry in entries):
            own = [entry for entry in entries if entry.prior == name]
            shape = image_shape(run.images, priors)
            one = prior_of(own[0], priors, shape)
            plan = plan_of(run, own, one, distances, starts, images)
            plans[*setting, name] = plan
            _print_method(own, plan)
    _print_part(run, work, plans, shard)


def plan_of(
    run: InversionRun,
    entries: list[Entry],
    prior: Prior | None,
    distances: dict,
    starts: int,
    images: Subjects,
) -> BatchPlan:
    """Plans the largest ratio of the entries of one setting and prior.

    The plan is empty for a baseline, whose programs are not known beforehand.

    Args:
        run: the config of the inversion.
        entries: batches of one setting and prior, at least one.
        prior: the prior of these entries; None for a baseline.
        distances: perceptual distances by name, with their weights loaded.
        starts: number of starts per batch, at least 1.
        images: the images to measure, or the measurements to explain.
    """
    if prior is None:
        return BatchPlan([], [], [])
    one = max(entries, key=lambda entry: entry.ratio)
    prior = prior.in_precision(one.precision)
    loss = perceptual_loss(one, distances)
    if not isinstance(images, Measured):
        return plan_batch(prior, one.method, one.problem, one.ratio, starts, loss)
    indices = np.resize(np.arange(len(images)), starts)
    problem, _ = problem_of(run, one, images, indices)
    return _plan_problem(prior, one.method, lambda: problem, starts, loss)


def _print_method(entries: list[Entry], plan: BatchPlan) -> None:
    """Prints lines about one prior in one setting."""
    terms = {entry.ratio: entry.perceptual for entry in entries if entry.perceptual}
    weights = ", ".join(f"{term.weight:g} at {r:g}" for r, term in terms.items())
    distances = dict.fromkeys(term.distance for term in terms.values())
    perceptual = f"{', '.join(distances)} {weights}" if terms else "none"
    steps = " + ".join(str(steps - 1) for steps in plan.steps)
    print(f"""    method     {entries[0].prior}: {entries[0].method}
    steps      {f"{steps} per batch and ratio" if steps else "image by image"}
    perceptual {perceptual}
    finish     {entries[0].finish or "none"}""")


def _print_part(
    run: InversionRun, work: Work, plans: dict[tuple, BatchPlan], shard: Shard
) -> None:
    """Prints the part of this process, and its cost if none of it is done yet."""
    part = "all"
    if shard.count > 1:
        part = f"shard {shard.index + 1} of {shard.count}"
    numbers = "no batch"
    if work.mine:
        numbers = f"batches {work.mine[0] + 1:,} to {work.mine[-1] + 1:,}"
    print(f"  this part    {part}: {numbers} of {work.total:,}")
    if work.mine:
        _print_costs(run, work, plans)


def _print_costs(run: InversionRun, work: Work, plans: dict[tuple, BatchPlan]) -> None:
    """Prints the memory of the largest program, and the time of this part."""
    known: dict[tuple, ProgramWork] = {}  # priors and methods may share programs
    lengths: dict[tuple, int] = {}  # of the programs to compile
    found: list[tuple[ProgramWork, tuple]] = []
    operations, steps = 0.0, 0
    for number, entry in enumerate(run.entries):
        plan = plans[*entry.setting, entry.prior]
        batches = entry.fits * len(work.own(number))
        stages = zip(plan.steps, plan.programs, plan.single, strict=True)
        for count, program, single in stages if batches else ():
            key = same_program(*single)
            if key not in known:
                function, *given = single
                known[key] = work_of(function.lower(*given))
                found.append((known[key], program))
            lengths[*key, entry.ratio] = known[key].length
            steps += batches * count
            operations += batches * count * known[key].operations
    if not found:
        print("  time         unknown, because baselines run image by image")
        return
    function, *given = max(found, key=lambda pair: pair[0].traffic)[1]
    memory, per_line = compiled_cost(function.lower(*given))
    speed = measured_speed()
    running = operations / data_mesh().size / speed
    what = f"{steps:,} steps at {duration(running / steps)}"
    if any(not plan.steps for plan in plans.values()):
        what += ", without the baselines"
    line = time_line(running, per_line * sum(lengths.values()), what, speed)
    print(f"  memory       {memory / 2**20:,.0f} MiB per device\n  time         {line}")
