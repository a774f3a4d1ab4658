"""Some measurements held out of the fit, to choose the iterate by.

The first fit sees the others, and each iterate's error on what is held out says when
it began to fit what does not generalise. The second fit sees all measurements, and
stops each image at the stage and the step that the first one found.
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
# Folded into an image's key. Far from the numbers of restarts and of noise keys.
HELD_OUT_KEY = 2_000_000


def checked_fraction(name: str, fraction: Any) -> float:
    """Raises UserError unless it is a number from 0.01 to 0.5."""
    return float(as_number(name, fraction, 0.01, 0.5, "a number from 0.01 to 0.5"))


def check_held_out(stages: Sequence[Stage], perceptual: object) -> None:
    """Raises UserError if a fit of `stages` would see what is held out, or not return.

    A perceptual loss compares whole pictures. And an image that stops in one stage goes
    through the later ones unchanged, unless they drop its RGB skip.
    """
    if perceptual is not None:
        raise UserError(
            "select: found held_out beside a perceptual loss, which sees all pixels, "
            "expected no perceptual loss (config.perceptual.distance='')"
        )
    if len(stages) > 1 and not all(getattr(one, "keep_skip", True) for one in stages):
        raise UserError(
            "method.keep_skip: found False with select=held_out, expected True: the "
            "image of a stage is lost as the next one drops the skip"
        )


def hold_out(
    problem: Problem, image_shape: ImageShape, keys: jax.Array, fraction: float
) -> Problem:
    """A settled problem, of which a random share of each image's measurements is held
    out: of pixels in all channels where y is a picture, or else of the entries of y.

    Args:
        problem: of the images.
        image_shape: of one image.
        keys: one per image.
        fraction: of what is measured.

    Raises:
        UserError: if an image has fewer than two measurements.
    """
    picture = noise_unit(problem.operators) in PICTURED

    def measured(operator: object, key: jax.Array) -> Bool[Array, "*entries"]:
        """What is not always 0."""
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
    """The same shapes, hence the same compiled program, with everything fitted."""
    return problem.replace(  # type: ignore[attr-defined]
        held_out=jax.tree.map(jnp.zeros_like, problem.held_out)
    )


def stops_of(
    stages: Sequence[Stage],
    scores: Float[np.ndarray, "stages batch"],
    steps: Int[np.ndarray, "stages batch"],
) -> Int[np.ndarray, "stages batch"]:
    """After how many updates of each stage each image stops.

    All of those before the stage of its lowest score, none of those after it.

    Args:
        stages: of the method.
        scores: the lowest of each stage.
        steps: updates before the iterate that has it.
    """
    chosen = np.argmin(np.nan_to_num(scores, nan=np.inf), axis=0)
    number = np.arange(len(stages))[:, None]
    full = np.array([stage.steps for stage in stages])[:, None]
    stops = np.where(number < chosen, full, np.where(number == chosen, steps, 0))
    return stops.astype(np.int32)
