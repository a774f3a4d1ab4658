"""`invert`: from measurements to images, whatever the method."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

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
FULL = 2**31 - 1  # updates that no stage has
# Folded into an image's key for the noise of stage 0. Far from small numbers, because
# JAX's `fold_in(key, i)` may be `split(key)[i]`, which methods start from.
NOISE_KEYS = 1_000_000


@runtime_checkable
class Method(Protocol):
    """What `invert` runs. Hashable."""

    def stages(self, generator: Generator) -> tuple[Stage, ...]:
        """The stages, in order."""

    def start(self, prior: Prior, key: jax.Array) -> Variables:
        """The variables of one image before the first stage."""


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
    mesh: jax.sharding.Mesh | None = None,
    progress: Any = True,
    before: Callable[[dict[str, tuple]], None] | None = None,
) -> Reconstruction:
    """Reconstructs a batch of images from their measurements.

    `invert(method, prior, y, operator, key=0)` takes measurements of your own and the
    operator that made them; `invert(method, prior, problem, key=0)` what is known
    besides, such as the noise:

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
        method: `CSGM`, `ILO`, `MGANPrior`, or anything with their two methods; or a
            baseline, as those of `rtil_jax.baselines`.
        prior: from `load_prior`, or `Prior.of(generator, variables)`. None for
            baselines and `DeepDecoder`, which have none.
        problem: one measurement per image, and one operator for all or one per image.
            Or y, if an operator follows.
        keys: see `key`. Or the operator, after y.
        y: A(x) + noise of each image, `(batch, ...)`. Of one image it may be without a
            batch axis; what is found has one then too, of length 1.
        operator: A, one for all images, or one per image as in a `Problem`.
        key: one for all, from which each image's is folded (`keys_of_images`), or a
            seed. Or one per image, `(batch,)`; an image's result depends on its own
            only.
        select: which iterate to return. Of the last stage, `measurement`: the one of
            the lowest measurement loss; `last`; `oracle`: the one closest to
            `problem.truth`, an upper bound that no user can reach. Of all stages,
            `held_out`: a share of the measurements is not fitted and chooses stage and
            step, then the fit is repeated with all of them up to there. It takes twice
            the time.
        held_out_fraction: that share, from 0.01 to 0.5; of the pixels, coefficients or
            rows that are measured, at least one.
        restarts: independent starts per image, run as one batch; the one of the
            lowest measurement loss is returned (of the lowest loss on what was held
            out, if something was), and the spread of all of them.
        perceptual: added to the loss that is descended: a `PerceptualLoss`, or a pure
            function of (problem, images) that returns one number per image. Iterates
            and restarts are chosen by the measurement loss alone. Some of the images
            at a time reach the function, which is compiled: what it reads besides its
            arguments is read once.
        finish: what is done to the images after the last stage. `project`: A^+ (y - A
            x) is added, of noiseless y; `denoise`: turns of `PlugAndPlay`, with
            another denoiser as in `denoise:bm3d`, or a `PlugAndPlay` of your own.
        mesh: of the devices to split the images over; all of them by default.
        progress: called after every step with (stage, step, measurement losses); in
            both fits, if something is held out. True shows a bar, in a terminal or a
            notebook; False and None show nothing.
        before: called once before the first step with the programs of the stages, by
            name: a jitted function and its arguments or their shapes. It is to compile
            them, as `compile_together` does by default.

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
        _check_unused(select, restarts, perceptual)
        steps = len(keys)
    else:
        network = prior if needs_prior(method) else method.own_prior(image_shape)
        prior = prior_for(method, network)
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
    """What a baseline finds. `progress` counts images as steps of one stage."""
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
    """The same with its images finished, as one more stage of one step."""
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
    """What a method's stages find, of arguments that are checked."""
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
    draw = functools.partial(render_jitted, prior.generator, prior.variables)
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
    """Each stage from where the one before ended; fills `losses`."""
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
        raise UserError("invert: select='oracle' needs problem.truth")


def _check_unused(select: str, restarts: int, perceptual: Any) -> None:
    """Raises UserError for what has no meaning without a loss that is descended."""
    given = {"select": select != "measurement", "restarts": restarts > 1}
    given["perceptual"] = perceptual is not None
    for name, is_given in given.items():
        if is_given:
            raise UserError(
                f"invert: found {name} with a baseline, expected none: it has no "
                "iterates to choose from and no loss to descend"
            )


def _status(first: np.ndarray, last: np.ndarray, finite: np.ndarray) -> list[str]:
    """One word per image, from its first and last loss and whether all were finite."""
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
