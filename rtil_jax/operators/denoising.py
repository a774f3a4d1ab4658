"""Denoising: every pixel is measured, with noise."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from rtil_jax.operators.algebra import Linear
from rtil_jax.operators.checks import as_image_shape
from rtil_jax.operators.interface import Images, ImageShape, Unmasked
from rtil_jax.operators.pytrees import operator_class, stored
from rtil_jax.operators.ratios import require_whole


@operator_class
class Denoising(Unmasked, Linear):
    """Measures every pixel: y = x.

    `measure` adds the noise, whose standard deviation is in the units of pixels.

    >>> Denoising((8, 8, 3)).num_measurements
    192

    Without noise, it shows how well a prior can represent an image.

    Attributes:
        image_shape: `(height, width, channels)`.
    """

    noise_unit: ClassVar[str] = "pixels"
    image_shape: ImageShape = struct.field(pytree_node=False)

    def __init__(self, image_shape: Any) -> None:
        """Makes the operator for images of this shape.

        Raises:
            UserError: if it is not (height, width, channels).
        """
        shape = as_image_shape("Denoising", image_shape)
        object.__setattr__(self, "image_shape", shape)

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "Denoising":
        """Returns the operator, which is not random.

        Args:
            key: not used.
            image_shape: `(height, width, channels)`.
            ratio: 1, because all pixels are measured.

        Raises:
            UserError: if `ratio` is not 1.
        """
        require_whole("denoising", ratio)
        return stored(cls, image_shape=image_shape)

    def preview(self, y: Images) -> Images:
        """Returns the noisy image."""
        return jnp.clip(y, -1, 1)

    def _forward(self, x: Images) -> Images:
        return x

    def _adjoint(self, y: Images) -> Images:
        return y

    def _pinv(self, y: Images) -> Images:
        return y
