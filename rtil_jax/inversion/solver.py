"""The solver of every method: runs stages of gradient descent on a batch of images.

A method (CSGM, ILO, ...) is a list of stages. A stage says which variables are free,
how they decode to a solution, and how they are constrained after each step; this file
runs one stage. Losses are summed over images, never averaged, and every image has its
own optimiser state and best iterate, so a reconstruction does not depend on the other
images of the batch.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.flatten_util import ravel_pytree
from jax.sharding import PartitionSpec
from jaxtyping import Array, Bool, Float, Int

from rtil_jax.compiling import compiled
from rtil_jax.devices import batch_sharded, replicated
from rtil_jax.inversion.at_once import images_at_once, in_pieces, steps_at_once
from rtil_jax.inversion.perceptual_loss import Loss
from rtil_jax.inversion.problems import (
    Problem,
    data_loss,
    held_out_error,
    placed,
)
from rtil_jax.inversion.schedules import ramp
from rtil_jax.inversion.solutions import render
from rtil_jax.inversion.stages import (
    OPTIMIZERS,
    Stage,
    Variables,
    put_free,
    take_free,
)
from rtil_jax.precision import single
from rtil_jax.priors.prior import Prior

SELECTIONS = ("measurement", "held_out", "last", "oracle")


@struct.dataclass
class Iterate:
    """The state that one step passes to the next; every leaf has a batch axis.

    Attributes:
        free: the variables that move; None in place of those that do not.
        optimizer: the optimiser state of each image.
        best: the variables with the lowest score so far.
        best_score: their score, whose meaning depends on the selection rule.
        best_loss: the measurement loss of `best`.
        finite: whether all measurement losses so far were finite.
        key: the PRNG key of the noise of each image; None without noise.
        step: number of updates so far. It and the next two fields are None unless some
            measurements are held out.
        best_step: the number of updates before `best`.
        stop: the number of updates after which the image no longer moves.
    """

    free: Variables
    optimizer: Any
    best: Variables
    best_score: Any
    best_loss: Any
    finite: Any
    key: Any = None
    step: Any = None
    best_step: Any = None
    stop: Any = None


def _score(
    select: str,
    problem: Problem,
    images: Float[Array, "batch height width channels"],
    loss: Float[Array, " batch"],
) -> Float[Array, " batch"]:
    if select == "oracle":
        return jnp.mean((images - problem.truth) ** 2, axis=(1, 2, 3))
    if select == "held_out":
        return held_out_error(problem, images)
    return loss


def _where(condition: Bool[Array, " batch"], new: Any, old: Any) -> Any:
    """Takes `new` for the images where the condition holds, `old` for the others."""

    def pick(a: Array, b: Array) -> Array:
        return jnp.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(pick, new, old)


def _heat(
    moved: Variables, keys: jax.Array, scale: Float[Array, ""]
) -> tuple[Variables, jax.Array]:
    """Adds Gaussian noise from each image's key; returns the next keys too."""

    def one_image(moved: Variables, key: jax.Array) -> tuple[Variables, jax.Array]:
        key, noise_key = jax.random.split(key)
        flat, restore = ravel_pytree(moved)
        noise = jax.random.normal(noise_key, flat.shape, flat.dtype)
        return restore(flat + scale * noise), key

    return jax.vmap(one_image)(moved, keys)


def _update(
    stage: Stage,
    select: str,
    prior: Prior,
    perceptual: Loss | None,
    problem: Problem,
    start: Variables,
    iterate: Iterate,
    rate: Float[Array, ""],
) -> tuple[Iterate, Float[Array, " batch"]]:
    """Makes one step on the images of a device; also returns their losses before it."""
    mask = stage.free(prior, start)

    def objective(
        free: Variables,
    ) -> tuple[
        Float[Array, ""],
        tuple[Float[Array, "batch height width channels"], Float[Array, " batch"]],
    ]:
        variables = put_free(mask, free, start)
        images = render(
            prior.generator, prior.variables, stage.decode(prior, variables)
        )
        loss = single(data_loss(problem, images))
        total = loss + stage.penalty(variables, images, problem)
        if perceptual is not None:
            total += perceptual(problem, images)
        return jnp.sum(total), (images, loss)

    free, key = iterate.free, iterate.key
    grads, (images, loss) = jax.grad(objective, has_aux=True)(free)
    score = _score(select, problem, images, loss)
    better = score < iterate.best_score  # false for nan
    update = OPTIMIZERS[stage.optimizer].update
    updates, optimizer = jax.vmap(update)(grads, iterate.optimizer)
    moved = jax.tree.map(lambda x, update: x - rate * update, free, updates)
    if stage.temperature is not None:
        moved, key = _heat(moved, key, jnp.sqrt(2 * rate * stage.temperature))
    moved = stage.constrain(put_free(mask, moved, start), start)
    moved = take_free(mask, moved)
    step, best_step = iterate.step, iterate.best_step
    if step is not None:
        moved = _where(step < iterate.stop, moved, free)
        best_step = jnp.where(better, step, best_step)
        step = step + 1
    iterate = Iterate(
        # A step of rate 0 only scores: its iterate must stay the one that it scored.
        free=jax.tree.map(lambda new, old: jnp.where(rate > 0, new, old), moved, free),
        optimizer=optimizer,
        best=_where(better, free, iterate.best),
        best_score=jnp.where(better, score, iterate.best_score),
        best_loss=jnp.where(better, loss, iterate.best_loss),
        finite=iterate.finite & jnp.isfinite(loss),
        key=key,
        step=step,
        best_step=best_step,
        stop=iterate.stop,
    )
    return iterate, loss


def _updates(
    select: str,
    at_once: int,
    stage: Stage,
    prior: Prior,
    perceptual: Loss | None,
    problem: Problem,
    start: Variables,
    iterate: Iterate,
    rates: Float[Array | np.ndarray, " steps"],
    count: int | Array,
) -> tuple[Iterate, Float[Array, "steps batch"]]:
    """Makes `count` updates, `at_once` images at a time; further losses are 0."""

    def one(
        iterate: Iterate, rate: Float[Array, ""]
    ) -> tuple[Iterate, Float[Array, " batch"]]:
        def update(
            batched: tuple[Problem, Variables, Iterate],
        ) -> tuple[Iterate, Float[Array, " piece"]]:
            piece, start, iterate = batched
            if problem.shared:
                piece = dataclasses.replace(piece, operators=problem.operators)
            return _update(
                stage, select, prior, perceptual, piece, start, iterate, rate
            )

        batched = problem
        if problem.shared:
            batched = dataclasses.replace(problem, operators=None)
        return in_pieces(update, at_once, (batched, start, iterate))

    def body(
        index: int | Array, carry: tuple[Iterate, Float[Array, "steps batch"]]
    ) -> tuple[Iterate, Float[Array, "steps batch"]]:
        iterate, losses = carry
        iterate, loss = one(iterate, rates[index])
        return iterate, losses.at[index].set(loss)

    if len(rates) == 1:
        iterate, loss = one(iterate, rates[0])
        return iterate, loss[None]
    losses = jnp.zeros((len(rates), *iterate.best_loss.shape), jnp.float32)
    return jax.lax.fori_loop(0, count, body, (iterate, losses))


def descend_on(
    stage: Stage,
    select: str,
    mesh: jax.sharding.Mesh,
    prior: Prior,
    perceptual: Loss | None,
    problem: Problem,
    start: Variables,
    iterate: Iterate,
    rates: Float[Array | np.ndarray, " at_once"],
    count: int | Array,
) -> tuple[Iterate, Float[Array, "at_once batch"]]:
    """Makes the first `count` steps at `rates`, with the images split over devices.

    The devices do not communicate. XLA computes whatever depends on the prior or the
    problem alone (transposed kernels, sums of their squares, spectra) once before the
    loop.

    Args:
        stage: the stage to run.
        select: the selection rule, one of `SELECTIONS`.
        mesh: the devices that share the images.
        prior, perceptual: the prior, and a loss to add or None.
        problem: as `settle` returns it.
        start: the variables at the start of the stage.
        iterate: the state after the last step; its buffers are donated.
        rates: `(at_once,)`, the learning rate of each step.
        count: how many of these steps to make, at most `at_once`.

    Returns:
        The next state, and the measurement losses before each step.
    """
    images, everywhere = PartitionSpec("data"), PartitionSpec()
    at_once = images_at_once(len(rates), mesh)
    updates = jax.shard_map(
        functools.partial(_updates, select, at_once),
        mesh=mesh,
        in_specs=(everywhere,) * 3
        + (placed(problem, images, everywhere),)
        + (images,) * 2
        + (everywhere,) * 2,
        out_specs=(images, PartitionSpec(None, "data")),
        check_vma=False,
    )
    return updates(stage, prior, perceptual, problem, start, iterate, rates, count)


descend = compiled(
    descend_on, static_argnames=("select", "mesh"), donate_argnames="iterate"
)


def _begin(
    stage: Stage,
    prior: Prior,
    variables: Variables,
    keys: jax.Array | None = None,
    stops: Int[Array | np.ndarray, " batch"] | None = None,
) -> tuple[Variables, Iterate]:
    """Returns (variables, first iterate) at the start of a stage.

    Args:
        stage: the stage that begins.
        prior: the prior.
        variables: those that the stage before has left.
        keys: `(batch,)` PRNG keys for the noise of a stage with a temperature.
        stops: `(batch,)`, the most updates of each image; None for no limit.
    """
    variables = stage.begin(prior, variables)
    free = take_free(stage.free(prior, variables), variables)
    infinite = jnp.full(jax.tree.leaves(free)[0].shape[0], jnp.inf, jnp.float32)
    optimizer = jax.vmap(OPTIMIZERS[stage.optimizer].init)(free)
    key = None if stage.temperature is None else keys
    finite = jnp.isfinite(jnp.zeros_like(infinite))
    count = None if stops is None else jnp.zeros_like(stops)
    iterate = Iterate(
        free, optimizer, free, infinite, infinite, finite, key, count, count, stops
    )
    # A step donates the iterate's buffers, so none may appear in it twice.
    return variables, jax.tree.map(jnp.copy, iterate)


begin = compiled(_begin, once=True)


class StageEnd(NamedTuple):
    """The outcome of a stage.

    Attributes:
        variables: the last iterate, from which the next stage starts.
        chosen: the selected iterate.
        loss: the measurement loss of `chosen`.
        finite: whether the losses of all steps were finite.
        score: the lowest score by the selection rule.
        step: number of updates before the iterate with the lowest score; None unless
            some measurements are held out.
    """

    variables: Variables
    chosen: Variables
    loss: Float[Array, " batch"]
    finite: Bool[Array, " batch"]
    score: Float[Array, " batch"]
    step: Int[Array, " batch"] | None


def run_stage(
    stage: Stage,
    prior: Prior,
    problem: Problem,
    variables: Variables,
    select: str,
    mesh: jax.sharding.Mesh,
    on_step: Callable[[int, Array], None],
    keys: jax.Array | None = None,
    perceptual: Loss | None = None,
    stops: Int[np.ndarray, " batch"] | None = None,
    descend: Callable = descend,
) -> StageEnd:
    """Runs a stage on a batch of images, which the devices share.

    Python makes several calls of a few steps each, and waits for the device at the end.

    Args:
        stage: the stage to run.
        prior: the prior, on the devices.
        problem: as `settle` returns it; with `perceptual`, as its `prepare` does.
        variables: those that the stage before has left.
        select: the selection rule, one of `SELECTIONS`.
        mesh: the devices; their number divides the batch.
        on_step: called with (step, measurement loss of each image before the step).
        keys: `(batch,)` PRNG keys for the noise of a stage with a temperature.
        perceptual: a loss to add, or None; iterates are still chosen by the
            measurement loss alone.
        stops: `(batch,)`, the most updates of each image if some measurements are held
            out; the last iterate is then selected.
        descend: the compiled program of this stage, see `programs.StagePrograms`.
    """
    # With the sharding that `descend` returns, else its second call would recompile.
    start, iterate = jax.device_put(
        begin(stage, prior, variables, keys, stops), batch_sharded(mesh)
    )
    # One more step, of rate 0, scores the last iterate.
    length, at_once = max(stage.steps, 1), steps_at_once(prior, mesh)
    factors = [ramp(i / length) for i in range(stage.steps + 1)]
    padding = [0.0] * (-len(factors) % at_once)
    rates = np.array(factors + padding) * stage.learning_rate
    placed_stage = jax.device_put(stage, replicated(mesh))
    for first in range(0, len(factors), at_once):
        count = min(at_once, len(factors) - first)
        now = rates[first : first + at_once].astype(np.float32)
        arrays = prior, perceptual, problem, start, iterate, now, count
        iterate, losses = descend(placed_stage, select, mesh, *arrays)
        for index in range(count):
            on_step(first + index, losses[index])
    # The caller times what follows, which may compile, so nothing may still run.
    loss = jax.block_until_ready(losses)[count - 1]
    # A stage continues where the one before ended, as in the public code; but an image
    # that diverged continues from its best iterate.
    finite = jnp.isfinite(loss)
    last = _where(finite, iterate.free, iterate.best)
    if select in ("last", "held_out"):
        chosen, chosen_loss = last, jnp.where(finite, loss, iterate.best_loss)
    else:
        chosen, chosen_loss = iterate.best, iterate.best_loss
    mask = stage.free(prior, start)
    after, selected = (put_free(mask, free, start) for free in (last, chosen))
    how = iterate.finite, iterate.best_score, iterate.best_step
    return StageEnd(after, selected, chosen_loss, *how)
