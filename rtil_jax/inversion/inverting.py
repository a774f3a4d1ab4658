"""`invert`: from measurements to images, whatever the method."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from rtil_jax.devices import batch_sharded, data_mesh, replicated
from rtil_jax.errors import UserError
from rtil_jax.generators import Generator
from rtil_jax.inversion.perceptual_loss import PerceptualLoss
from rtil_jax.inversion.prior import Prior
from rtil_jax.inversion.problems import Problem
from rtil_jax.inversion.solutions import Solution, render
from rtil_jax.inversion.solver import SELECTIONS, run_stage
from rtil_jax.inversion.stages import Stage
from rtil_jax.precision import single

HISTORY_EVERY = 10
# A run that lowers its measurement loss by less than this fraction has stalled.
STALL = 0.01
# Folded into an image's key for the noise of stage 0. Far from small numbers, because
# JAX's `fold_in(key, i)` may be `split(key)[i]`, which methods start from.
NOISE_KEYS = 1_000_000

# Called after every step with (stage, step, measurement loss of each image).
Progress = Callable[[int, int, Array], None]


@runtime_checkable
class Method(Protocol):
    """What `invert` runs. Hashable."""

    def stages(self, generator: Generator) -> tuple[Stage, ...]:
        """The stages, in order."""

    def start(self, prior: Prior, key: jax.Array) -> Any:
        """The variables of one image before the first stage."""


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """What `invert` returns, one entry per image.

    Attributes:
        images: `(batch, height, width, channels)`, nominally in [-1, 1].
        solution: renders to `images`.
        measurement_loss: ||A(G) - y||^2 / m of each image.
        status: `ok`, `stalled` (the measurement loss barely fell) or `failed` (it
            became infinite or nan; the best iterate before that is returned).
        history: `(stage, step, measurement losses)` every ten steps.
    """

    images: Array
    solution: Solution
    measurement_loss: Array
    status: list[str]
    history: list[tuple[int, int, np.ndarray]]


def invert(
    method: Method,
    prior: Prior,
    problem: Problem,
    keys: jax.Array,
    *,
    select: str = "measurement",
    restarts: int = 1,
    perceptual: PerceptualLoss | None = None,
    mesh: jax.sharding.Mesh | None = None,
    progress: Progress | None = None,
) -> Reconstruction:
    """Reconstructs a batch of images from their measurements.

    Args:
        method: `CSGM`, `ILO`, `MGANPrior`, or anything with their two methods.
        prior: from `load_prior`, or `Prior.of(generator, variables)`.
        problem: one operator and one measurement per image.
        keys: one per image, `(batch,)`; an image's result depends on its own only.
        select: which iterate of the last stage to return. `measurement`: the one of
            the lowest measurement loss; `last`; `oracle`: the one closest to
            `problem.truth`, an upper bound that no user can reach.
        restarts: independent starts per image, run as one batch; the one of the
            lowest measurement loss is returned.
        perceptual: added to the loss that is descended. Iterates and restarts are
            chosen by the measurement loss alone.
        mesh: of the devices to split the images over; all of them by default.
        progress: called after every step with (stage, step, measurement losses).

    Raises:
        UserError: if the arguments do not fit each other, or the method does not fit
            the generator.
    """
    _check_arguments(problem, keys, select, restarts)
    mesh = data_mesh() if mesh is None else mesh
    batch = keys.shape[0]
    rows = np.repeat(np.arange(batch), restarts)
    rows = np.pad(rows, (0, -len(rows) % mesh.size), mode="edge")
    numbers = np.arange(len(rows)) % restarts
    # Single precision, whatever is handed over: see `rtil_jax.precision`.
    prior, perceptual = single(jax.device_put((prior, perceptual), replicated(mesh)))
    keys = jax.vmap(jax.random.fold_in)(keys[rows], numbers)
    variables = _start(method, prior, keys)
    problem = jax.tree.map(lambda x: x[rows], problem)
    batched = jax.device_put((variables, problem), batch_sharded(mesh))
    variables, problem = single(batched)
    if perceptual is not None:
        problem = jax.device_put(perceptual.prepare(problem), batch_sharded(mesh))

    history, stages = [], method.stages(prior.generator)
    for index, stage in enumerate(stages):

        def on_step(step, loss, index=index, stage=stage):
            if step % HISTORY_EVERY == 0 or step == stage.steps:
                history.append((index, step, loss))
            if progress:
                progress(index, step, loss)

        noise_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, NOISE_KEYS + index)
        variables, chosen, loss = run_stage(
            stage,
            prior,
            problem,
            variables,
            select,
            mesh,
            on_step,
            noise_keys,
            perceptual,
        )
    best = _best_restarts(np.asarray(loss)[: batch * restarts], restarts)
    solution = _solution(stages[-1], prior, *chosen)
    solution = jax.tree.map(lambda x: x[best], solution)
    history = [(*when, np.asarray(x)[best]) for *when, x in history]
    return Reconstruction(
        images=render_jitted(prior.generator, prior.variables, solution),
        solution=solution,
        measurement_loss=loss[best],
        status=_status(history, np.asarray(loss)[best]),
        history=history,
    )


def _check_arguments(
    problem: Problem, keys: jax.Array, select: str, restarts: int
) -> None:
    batch, found = keys.shape[0], problem.measurements.shape[0]
    if batch != found:
        raise UserError(f"invert: found {batch} keys, expected {found}, one per image")
    if select not in SELECTIONS:
        known = ", ".join(SELECTIONS)
        raise UserError(f"invert: found select={select!r}, expected one of {known}")
    if select == "oracle" and problem.truth is None:
        raise UserError("invert: select='oracle' needs problem.truth")
    if restarts < 1:
        raise UserError(f"invert: found restarts={restarts}, expected at least 1")


def _best_restarts(
    losses: Float[np.ndarray, " starts"], restarts: int
) -> Int[np.ndarray, " batch"]:
    """The row of each image's lowest loss; its restarts lie side by side."""
    table = np.nan_to_num(losses, nan=np.inf).reshape(-1, restarts)
    return restarts * np.arange(len(table)) + table.argmin(axis=1)


def _status(history: list, losses: np.ndarray) -> list[str]:
    """One word per image."""
    finite = np.all([np.isfinite(x) for *_, x in history], axis=0)
    stalled = losses > (1 - STALL) * history[0][-1]
    return [
        "failed" if not f else "stalled" if s else "ok"
        for f, s in zip(finite, stalled, strict=True)
    ]


render_jitted = jax.jit(render, static_argnames="generator")


@functools.partial(jax.jit, static_argnames="method")
def _start(method, prior, keys):
    return jax.vmap(method.start, in_axes=(None, 0))(prior, keys)


@functools.partial(jax.jit, static_argnames="stage")
def _solution(stage, prior, free, fixed):
    return stage.decode(prior, free, fixed)
