"""Inpainting of a missing square."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from rtil_jax.errors import UserError
from rtil_jax.operators.inpainting import Inpainting
from rtil_jax.operators.interface import ImageShape
from rtil_jax.operators.pytrees import operator_class, stored


@operator_class
class BoxInpainting(Inpainting):
    """Inpainting of a missing square at a random place inside the image.

    The side of the square is a whole number of pixels, so the observed fraction is
    `ratio` up to rounding: within 1.6 % at 64x64 pixels. Squares from the same key are
    nested.
    """

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "BoxInpainting":
        """Draws the place of the missing square.

        Args:
            key: the PRNG key of the place.
            image_shape: `(height, width, channels)`.
            ratio: the fraction of pixels that are seen, in (0, 1].

        Raises:
            UserError: if the square is empty or as large as the image.
        """
        height, width, channels = image_shape
        side = round(math.sqrt((1 - ratio) * height * width))
        if side > min(height, width) or side**2 == height * width:
            raise UserError(
                f"ratios: found {ratio:g} with problem=box_inpainting, a missing "
                f"square of {side}x{side} pixels, expected a smaller part of the "
                f"{height}x{width} pixels"
            )
        place = jax.random.uniform(key, (2,), jnp.float32)
        rows = _inside(height, side, place[0])
        columns = _inside(width, side, place[1])
        hole = jnp.outer(rows, columns)[..., None]
        mask = (~hole).astype(jnp.float32)
        return stored(cls, mask=mask, channels=channels)


def _inside(size: int, side: int, place: Array) -> Bool[Array, " size"]:
    """The `side` pixels of an axis, at a `place` between 0 and 1.

    A side longer by one pixel begins at the same pixel or at the one before, so it
    includes the shorter.
    """
    first = jnp.floor(place * (size - side + 1))
    pixels = jnp.arange(size)
    return (pixels >= first) & (pixels < first + side)
