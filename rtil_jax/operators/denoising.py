"""Denoising: everything is measured, and only the noise is in the way."""

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
    """y = x; `measure` adds the noise, whose `noise_std` is in the units of pixels.

    >>> Denoising((8, 8, 3)).num_measurements
    192

    Without noise it asks how well a prior can represent an image at all.

    Attributes:
        image_shape: `(height, width, channels)`.
    """

    noise_unit: ClassVar[str] = "pixels"
    image_shape: ImageShape = struct.field(pytree_node=False)

    def __init__(self, image_shape: Any) -> None:
        """Raises UserError unless it is (height, width, channels)."""
        shape = as_image_shape("Denoising", image_shape)
        object.__setattr__(self, "image_shape", shape)

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "Denoising":
        """The operator; `key` is unused.

        Args:
            key: unused: nothing is random.
            image_shape: `(height, width, channels)`.
            ratio: 1: all pixels are measured.

        Raises:
            UserError: if `ratio` is not 1.
        """
        require_whole("denoising", ratio)
        return stored(cls, image_shape=image_shape)

    def preview(self, y: Images) -> Images:
        """The noisy image."""
        return jnp.clip(y, -1, 1)

    def _forward(self, x: Images) -> Images:
        return x

    def _adjoint(self, y: Images) -> Images:
        return y

    def _pinv(self, y: Images) -> Images:
        return y
