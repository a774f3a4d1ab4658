"""`invert`, the function that recovers images from measurements with any method."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from rtil_jax.activations import in_precision
from rtil_jax.arguments import check_method
from rtil_jax.arrays import as_number
from rtil_jax.compiling import compile_together, compiled
from rtil_jax.devices import batch_sharded, data_mesh, replicated
from rtil_jax.errors import UserError
from rtil_jax.generators import Generator
from rtil_jax.inversion.finishes import check_finish, find_finish, finished
from rtil_jax.inversion.held_out import (
    FRACTION,
    check_held_out,
    checked_fraction,
    hold_out,
    nothing_held_out,
    stops_of,
)
from rtil_jax.inversion.keys import keys_of_images
from rtil_jax.inversion.own_measurements import as_problem, called, with_batch_axis
from rtil_jax.inversion.perceptual_loss import Loss, as_loss
from rtil_jax.inversion.problems import (
    Problem,
    data_loss,
    map_batched,
    noise_of,
    photon_variance,
    placed,
    settle,
)
from rtil_jax.inversion.programs import StagePrograms, stage_programs
from rtil_jax.inversion.progress_bar import Progress, shown
from rtil_jax.inversion.reconstruction import Reconstruction
from rtil_jax.inversion.restarts import best_restarts, spread_of
from rtil_jax.inversion.solutions import render
from rtil_jax.inversion.solver import SELECTIONS, StageEnd, run_stage
from rtil_jax.inversion.stages import Stage, Variables
from rtil_jax.inversion.units import prior_for
from rtil_jax.inversion.without_prior import (
    image_shape_of,
    is_baseline,
    needs_prior,
    recover,
)
from rtil_jax.operators.interface import ImageShape
from rtil_jax.precision import single
from rtil_jax.priors.prior import Prior, check_prior

HISTORY_EVERY = 10
# A run that lowers its measurement loss by less than this fraction has stalled.
STALL = 0.01
FULL = 2**31 - 1  # more updates than any stage has
# Folded into an image's key for the noise of stage 0. It is far from small numbers,
# because JAX's `fold_in(key, i)` may equal `split(key)[i]`, which methods start from.
NOISE_KEYS = 1_000_000


@runtime_checkable
class Method(Protocol):
    """The interface of a method with a prior, which `invert` runs. It is hashable."""

    def stages(self, generator: Generator) -> tuple[Stage, ...]:
        """Returns the stages for this generator, in order."""

    def start(self, prior: Prior, key: jax.Array) -> Variables:
        """Draws the variables of one image before the first stage."""


def invert(
    method: Any,
    prior: Any,
    problem: Any = None,
    keys: Any = None,
    *,
    y: Any = None,
    operator: Any = None,
    key: Any = None,
    select: Any = "measurement",
    held_out_fraction: Any = FRACTION,
    restarts: Any = 1,
    perceptual: Any = None,
    finish: Any = None,
    precision: Any = None,
    mesh: jax.sharding.Mesh | None = None,
    progress: Any = True,
    before: Callable[[dict[str, tuple]], None] | None = None,
) -> Reconstruction:
    """Recovers a batch of images from their measurements.

    `invert(method, prior, y, operator, key=0)` takes your measurements and the operator
    that made them. `invert(method, prior, problem, key=0)` takes a `Problem`, which
    also holds what else is known, such as the noise:

    >>> import numpy as np
    >>> from rtil_jax.baselines import Biharmonic
    >>> from rtil_jax.operators import Inpainting
    >>> mask = np.ones((8, 8), bool)
    >>> mask[3:5, 3:5] = False
    >>> operator = Inpainting(mask)
    >>> y = operator(np.full((8, 8, 1), 0.5, np.float32))
    >>> found = invert(Biharmonic(), None, y, operator, key=0)
    >>> found.images.shape, bool(abs(found.images[0, 3, 3, 0] - 0.5) < 1e-3)
    ((1, 8, 8, 1), True)

    Args:
        method: `ILO`, `MGANPrior`, `CSGM`, `Surgery`, `DeepDecoder`, a baseline of
            `rtil_jax.baselines`, or your own object with `stages` and `start`.
        prior: from `load_prior`, or `Prior.of(generator, variables)`. None for
            baselines and `DeepDecoder`, which need no prior.
        problem: a `Problem`. Or y, if the operator follows.
        keys: the same as `key`. Or the operator, if y comes before it.
        y: the measurements A(x) + noise of each image, `(batch, ...)`. A single image
            may come without the batch axis; the result then has a batch axis of 1.
        operator: A, either one for all images, or one per image as in a `Problem`.
        key: a seed, one PRNG key for all images, or one key per image, `(batch,)`. From
            a single key, each image gets its own (see `keys_of_images`). The result
            of an image depends on its own key only.
        select: which iterate to return. `measurement`: the iterate of the last stage
            with the lowest measurement loss. `last`: the last iterate. `oracle`: the
            iterate of the last stage closest to `problem.truth`, an upper bound that
            is out of reach in practice. `held_out`: a first fit leaves out a share of
            the measurements, which choose the stage and the step; a second fit uses
            all measurements and stops there. This takes twice the time.
        held_out_fraction: the share that `held_out` leaves out, from 0.01 to 0.5, of
            the measured pixels, coefficients or rows; at least one is left out.
        restarts: number of independent starts per image, at least 1, run as one batch.
            The start with the lowest measurement loss (with `held_out`, the lowest
            loss on the held-out measurements) is returned, with the spread of all.
        perceptual: a term added to the loss: a `PerceptualLoss`, or a pure function of
            (problem, images) that returns one number per image. Iterates and restarts
            are still chosen by the measurement loss alone. The function is compiled
            and called on a few images at a time, so it must not depend on variables
            that change.
        finish: how to change the images after the last stage. `project` adds
            A^+ (y - A x), for noiseless y. `average` takes the mean with the image of
            `GaussianField` from the same y. `denoise` runs `PlugAndPlay` iterations;
            `denoise:bm3d` uses another denoiser. Or your own `PlugAndPlay`.
        precision: of the generator's activations and convolutions during the search,
            `float32` or `bfloat16`, which is meant for GPUs (`rtil_jax.activations`
            says what stays float32). None is that of the prior, which is float32 where
            `load_prior` made it. What is found is rendered in float32.
        mesh: the devices to split the images over; all devices by default.
        progress: True shows a progress bar in a terminal or notebook; False and None
            show nothing. A function is called after every step with (stage, step,
            measurement losses), in both fits of `held_out`.
        before: a function called once before the first step with the programs of the
            stages, name -> (jitted function, *arguments or their shapes), to compile
            them. By default `compile_together` does.

    Raises:
        UserError: if the arguments do not fit each other, or the method does not fit
            the generator.
    """
    check_method(method)
    if needs_prior(method):
        check_prior(prior)
    problem, keys, own = as_problem(problem, keys, y, operator, key)
    with called(own):
        noise_std = noise_of(problem)
        image_shape = prior.image_shape if prior else image_shape_of(problem)
        problem = with_batch_axis(problem, image_shape) if own else problem
        problem = settle(problem, image_shape)
    if problem.noise is not None:
        variance = photon_variance(problem, image_shape)
        noise_std = float(jnp.sqrt(jnp.mean(variance)))
    finish = find_finish("invert: finish", finish, noise_std)
    keys = keys_of_images(keys, len(problem.measurements))
    _check_select(problem, select)
    restarts = as_number("restarts", restarts, 1, 2**31, "a whole number from 1")
    if finish:
        check_finish(finish)
    whole = dataclasses.replace(problem, noise_std=noise_std or None)
    if is_baseline(method):
        _check_unused(select, restarts, perceptual, precision)
        steps = len(keys)
    else:
        network = prior if needs_prior(method) else method.own_prior(image_shape)
        prior = prior_for(method, network)
        if precision is not None:
            prior = prior.in_precision(precision, "invert: precision")
        perceptual = as_loss(perceptual, problem, image_shape)
        stages = method.stages(prior.generator)
        steps = sum(stage.steps + 1 for stage in stages)
        if select == "held_out":
            fraction = checked_fraction("held_out_fraction", held_out_fraction)
            check_held_out(stages, perceptual)
            problem = hold_out(problem, image_shape, keys, fraction)
            steps *= 2
    with shown(progress, steps, type(method).__name__) as on_step:
        if is_baseline(method):
            given = method, problem, image_shape, noise_std, keys, on_step
            found = _recovered(*given)
        else:
            fit = method, prior, problem, keys, select, restarts, perceptual
            devices = data_mesh() if mesh is None else mesh
            found = _descended(*fit, devices, on_step, before)
            if prior.in_precision("float32").generator is not prior.generator:
                loss = loss_jitted(whole, found.images)
                found = dataclasses.replace(found, measurement_loss=loss)
    found = dataclasses.replace(found, problem=whole)
    return _finished(found, finish, problem, noise_std) if finish else found


def _recovered(
    baseline: Any,
    problem: Problem,
    image_shape: ImageShape,
    noise_std: float,
    keys: jax.Array,
    progress: Progress | None,
) -> Reconstruction:
    """Runs a baseline; `progress` counts images as steps of one stage."""
    losses = jnp.full(len(keys), jnp.nan)

    def on_image(index: int) -> None:
        if progress:
            progress(0, index, losses)

    given = problem, image_shape, noise_std, keys
    images = recover(baseline, *given, on_image)
    loss = loss_jitted(problem, images)
    status = ["ok" if x else "failed" for x in np.isfinite(np.asarray(loss))]
    return Reconstruction(images, None, loss, status, [])


def _finished(
    found: Reconstruction, finish: Any, problem: Problem, noise_std: float
) -> Reconstruction:
    """Applies a finish to the images; the history records it as a stage of one step."""
    images = finished(finish, problem, found.images, noise_std)
    loss, history = loss_jitted(problem, images), found.history
    if history:
        stage = history[-1][0] + 1
        before, after = np.asarray(found.measurement_loss), np.asarray(loss)
        history = [*history, (stage, 0, before), (stage, 1, after)]
    return dataclasses.replace(
        found,
        images=images,
        measurement_loss=loss,
        history=history,
        is_finished=True,
    )


def _descended(
    method: Method,
    prior: Prior,
    problem: Problem,
    keys: jax.Array,
    select: str,
    restarts: int,
    perceptual: Loss | None,
    mesh: jax.sharding.Mesh,
    progress: Progress | None,
    before: Callable[[dict[str, tuple]], None] | None,
) -> Reconstruction:
    """Runs the stages of a method; the arguments are checked already."""
    stages = method.stages(prior.generator)
    batch = keys.shape[0]
    rows = np.repeat(np.arange(batch), restarts)
    rows = np.pad(rows, (0, -len(rows) % mesh.size), mode="edge")
    numbers = np.arange(len(rows)) % restarts
    # Single precision, whatever is handed over: see `rtil_jax.precision`.
    prior, perceptual = single(jax.device_put((prior, perceptual), replicated(mesh)))
    keys = jax.vmap(jax.random.fold_in)(keys[rows], numbers)
    variables = _start(method, prior, keys)

    def put(problem: Problem) -> Problem:
        where = placed(problem, batch_sharded(mesh), replicated(mesh))
        return jax.device_put(problem, where)

    problem = map_batched(lambda x: x[rows], problem)
    variables = single(jax.device_put(variables, batch_sharded(mesh)))
    problem = put(single(problem))
    if perceptual is not None:
        problem = put(perceptual.prepare(problem))

    given = prior, perceptual, problem, variables, keys
    programs = StagePrograms(stage_programs(stages, *given, select, mesh), mesh)
    if before is None:
        compile_together(programs.by_name().values())
    else:
        before(programs.by_name())
    losses: list[tuple[int, int, Array]] = []

    def run(
        problem: Problem, stops: Int[np.ndarray, "stages batch"] | None = None
    ) -> list[StageEnd]:
        losses.clear()
        given = problem, variables, keys, perceptual, select, mesh, losses, progress
        return _run_stages(stages, programs, prior, *given, stops)

    if select == "held_out":
        first = run(problem, np.full((len(stages), len(rows)), FULL, np.int32))
        scores = np.stack([end.score for end in first])
        stops = stops_of(
            stages, scores, np.stack([np.asarray(end.step) for end in first])
        )
        ends, score = run(put(nothing_held_out(problem)), stops), scores.min(axis=0)
    else:
        ends = run(problem)
        score = np.asarray(ends[-1].loss)
    finite = np.all([end.finite for end in ends], axis=0)
    loss = ends[-1].loss
    best = best_restarts(score[: batch * restarts], restarts)
    starts = _solution(stages[-1], prior, ends[-1].chosen)
    solution = jax.tree.map(lambda x: x[best], starts)
    drawn = in_precision(prior.generator, "float32")
    draw = functools.partial(render_jitted, drawn, prior.variables)
    history = [(index, step, np.asarray(x)[best]) for index, step, x in losses]
    return Reconstruction(
        images=draw(solution),
        solution=solution,
        measurement_loss=loss[best],
        status=_status(history[0][-1], np.asarray(loss)[best], finite[best]),
        history=history,
        spread=spread_of(draw, starts, batch, restarts),
    )


def _run_stages(
    stages: Sequence[Stage],
    programs: StagePrograms,
    prior: Prior,
    problem: Problem,
    variables: Variables,
    keys: jax.Array,
    perceptual: Loss | None,
    select: str,
    mesh: jax.sharding.Mesh,
    losses: list[tuple[int, int, Array]],
    progress: Progress | None,
    stops: Int[np.ndarray, "stages batch"] | None,
) -> list[StageEnd]:
    """Runs each stage from where the one before ended, and fills `losses`."""
    ends = []
    for index, stage in enumerate(stages):

        def on_step(
            step: int, loss: Array, index: int = index, stage: Stage = stage
        ) -> None:
            if step % HISTORY_EVERY == 0 or step == stage.steps:
                losses.append((index, step, loss))
            if progress:
                progress(index, step, loss)

        noise_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, NOISE_KEYS + index)
        given = select, mesh, on_step, noise_keys, perceptual
        stop, run = None if stops is None else stops[index], programs.descend(index)
        end = run_stage(stage, prior, problem, variables, *given, stop, run)
        variables = end.variables
        ends.append(end)
    return ends


def _check_select(problem: Problem, select: Any) -> None:
    if not isinstance(select, str) or select not in SELECTIONS:
        known = ", ".join(SELECTIONS)
        raise UserError(f"invert: found select={select!r}, expected one of {known}")
    if select == "oracle" and problem.truth is None:
        raise UserError(
            "problem.truth: found None, expected the true images for select='oracle'"
        )


def _check_unused(select: str, restarts: int, perceptual: Any, precision: Any) -> None:
    """Raises UserError for arguments that a baseline, which has no loss, cannot use."""
    given = {"select": select != "measurement", "restarts": restarts > 1}
    given["perceptual"] = perceptual is not None
    given["precision"] = precision is not None
    for name, is_given in given.items():
        if is_given:
            raise UserError(
                f"invert: found {name} with a baseline, expected the default, because "
                "a baseline has no generator, no iterates to choose from and no loss"
            )


def _status(first: np.ndarray, last: np.ndarray, finite: np.ndarray) -> list[str]:
    """Returns `ok`, `stalled` or `failed` for each image, from its losses."""
    stalled = last > (1 - STALL) * first
    return [
        "failed" if not f else "stalled" if s else "ok"
        for f, s in zip(finite, stalled, strict=True)
    ]


loss_jitted = compiled(data_loss, once=True)
render_jitted = compiled(render, static_argnames="generator")
_start = compiled(
    lambda method, prior, keys: jax.vmap(method.start, (None, 0))(prior, keys),
    once=True,
    static_argnames="method",
)
_solution = compiled(
    lambda stage, prior, variables: stage.decode(prior, variables), once=True
)
