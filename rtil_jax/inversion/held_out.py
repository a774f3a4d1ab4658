"""Holds out some measurements from the fit, and chooses the iterate by them.

The first fit sees the remaining measurements. The error of each iterate on the held-out
ones shows when the fit stopped generalising. The second fit sees all measurements, and
stops each image at the stage and step that the first fit found best.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rtil_jax.arrays import as_number, is_traced
from rtil_jax.errors import UserError
from rtil_jax.inversion.problems import HeldOut, Problem, over_images
from rtil_jax.inversion.stages import Stage
from rtil_jax.operators.interface import ImageShape
from rtil_jax.operators.noise import PICTURED, noise_unit

FRACTION = 0.1
# Folded into an image's key. Far from the numbers folded for restarts and noise.
HELD_OUT_KEY = 2_000_000


def checked_fraction(name: str, fraction: Any) -> float:
    """Returns the fraction as a float; raises UserError unless it is in [0.01, 0.5]."""
    return float(as_number(name, fraction, 0.01, 0.5, "a number from 0.01 to 0.5"))


def check_held_out(stages: Sequence[Stage], perceptual: object) -> None:
    """Raises UserError if measurements cannot be held out from these stages.

    A perceptual loss compares whole pictures, so it would see what is held out. And an
    image that stops in one stage must pass through the later ones unchanged, which
    fails if they drop its RGB skip.
    """
    if perceptual is not None:
        raise UserError(
            "select: found 'held_out' with a perceptual loss, which sees all pixels, "
            "expected no perceptual loss (config.perceptual.distance='')"
        )
    if len(stages) > 1 and not all(getattr(one, "keep_skip", True) for one in stages):
        raise UserError(
            "method.keep_skip: found False with select='held_out', expected True: the "
            "next stage would drop the RGB skip and lose the image of this one"
        )


def hold_out(
    problem: Problem, image_shape: ImageShape, keys: jax.Array, fraction: float
) -> Problem:
    """Returns the problem with a random share of each image's measurements held out.

    Where y is a picture, whole pixels are held out, with all their channels; otherwise
    entries of y.

    Args:
        problem: the measurements, as `settle` returns them.
        image_shape: `(height, width, channels)` of one image.
        keys: `(batch,)`, one PRNG key per image.
        fraction: the share of the measurements, from 0.01 to 0.5.

    Raises:
        UserError: if an image has fewer than two measurements.
    """
    picture = noise_unit(problem.operators) in PICTURED

    def measured(operator: object, key: jax.Array) -> Bool[Array, "*entries"]:
        """Marks the entries of y that are not always 0."""
        x = jax.random.normal(key, image_shape, jnp.float32)
        found = jnp.abs(operator(x)) > 0  # type: ignore[operator]
        return jnp.any(found, axis=-1, keepdims=True) if picture else found

    def choose(
        measured: Bool[Array, "*entries"], key: jax.Array
    ) -> tuple[Bool[Array, "*entries"], Float[Array, ""]]:
        drawn = jax.random.uniform(key, measured.shape, jnp.float32)
        drawn = jnp.where(measured, drawn, 2.0)  # the others come last
        ranks = jnp.argsort(jnp.argsort(drawn.ravel())).reshape(measured.shape)
        count = jnp.sum(measured)
        number = jnp.clip(jnp.round(fraction * count), 1, count - 1)
        return ranks < number, (number / count).astype(jnp.float32)

    keys = jax.vmap(jax.random.fold_in, (0, None))(keys, HELD_OUT_KEY)
    mask, share = jax.vmap(choose)(over_images(measured, problem, keys), keys)
    if not is_traced(share) and not np.all(np.asarray(share) > 0):
        raise UserError(
            "problem: found an image with fewer than 2 measurements, expected more for "
            "select='held_out'"
        )
    return problem.replace(held_out=HeldOut(mask, share))  # type: ignore[attr-defined]


def nothing_held_out(problem: Problem) -> Problem:
    """Returns the problem with nothing held out, in the same shapes.

    So the second fit runs the program that was compiled for the first.
    """
    return problem.replace(  # type: ignore[attr-defined]
        held_out=jax.tree.map(jnp.zeros_like, problem.held_out)
    )


def stops_of(
    stages: Sequence[Stage],
    scores: Float[np.ndarray, "stages batch"],
    steps: Int[np.ndarray, "stages batch"],
) -> Int[np.ndarray, "stages batch"]:
    """Returns after how many updates of each stage each image stops.

    An image runs every stage before the one with its lowest score in full, and none
    after it.

    Args:
        stages: the stages of the method.
        scores: `(stages, batch)`, the lowest score in each stage.
        steps: `(stages, batch)`, the number of updates before that iterate.
    """
    chosen = np.argmin(np.nan_to_num(scores, nan=np.inf), axis=0)
    number = np.arange(len(stages))[:, None]
    full = np.array([stage.steps for stage in stages])[:, None]
    stops = np.where(number < chosen, full, np.where(number == chosen, steps, 0))
    return stops.astype(np.int32)
