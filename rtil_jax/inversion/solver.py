"""The solver of every method: stages of descent on a batch of images at once.

A method (CSGM, ILO, ...) is a list of stages. A stage says which variables are free,
how they decode to a solution, and what they are constrained to after each step; this
file runs one. Losses are summed over images, never averaged, and every image has an
optimiser state and a best iterate of its own, so a reconstruction does not depend on
the batch that it was found in.
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
    """What one step passes to the next, every leaf with a leading batch axis.

    Attributes:
        free: the variables that are moved; None where the tree has others.
        optimizer: its state, one per image.
        best: the variables of the lowest score so far.
        best_score: that score; what it measures depends on the selection rule.
        best_loss: the measurement loss of `best`.
        finite: whether all measurement losses so far were.
        key: of the noise, one per image; None without noise.
        step: number of updates so far; None, as the next two, unless some measurements
            are held out.
        best_step: that of `best`.
        stop: after so many updates the image stays as it is.
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
    """`new` for the images where the condition holds, `old` for the others."""

    def pick(a: Array, b: Array) -> Array:
        return jnp.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(pick, new, old)


def _heat(
    moved: Variables, keys: jax.Array, scale: Float[Array, ""]
) -> tuple[Variables, jax.Array]:
    """`moved` plus Gaussian noise, each image's from its own key; and the next keys."""

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
    """One step on the images of one device; returns their measurement losses too."""
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
    """`count` updates, `at_once` images at a time; the losses after those are 0."""

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
    """The first `count` steps at `rates`, the images split over the devices of `mesh`.

    No communication. Whatever depends on the prior or the problem alone (kernels
    transposed for the gradient, sums of their squares, spectra) XLA computes before
    the loop, once for all of its steps.
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
    """(variables, first iterate) of a stage; `keys` are read if it is warm.

    With `stops`, each image takes so many updates at most.
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
    """How a stage ended.

    Attributes:
        variables: for the stage after.
        chosen: those that were selected.
        loss: the measurement loss of these.
        finite: whether that of every step was.
        score: the lowest, by the selection rule.
        step: number of updates before the iterate that has it, where some measurements
            are held out.
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
    """Runs a stage on a batch that the devices of `mesh` divide.

    A few steps per call, driven from Python, which waits for the device at the end.

    Args:
        problem: as `settle` returns it.
        on_step: called with (step, measurement loss of each image before the step).
        keys: of the noise of a stage that has a temperature, one per image.
        perceptual: added to the loss that is descended; iterates are still chosen by
            the measurement loss alone. `problem` is then what it has prepared.
        stops: updates of each image at most, where some measurements are held out; the
            selected iterate is then the last one.
        descend: the compiled program of this stage, see `programs.StagePrograms`.
    """
    # With the sharding that `step` returns, or its second call would compile again.
    start, iterate = jax.device_put(
        begin(stage, prior, variables, keys, stops), batch_sharded(mesh)
    )
    # The step after the last one has rate 0: it scores the last iterate.
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
    # What follows may compile, which is told from running if nothing runs meanwhile.
    loss = jax.block_until_ready(losses)[count - 1]
    # A stage goes on from where the one before ended, as in the public code; but an
    # image that diverged goes on from its best.
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
