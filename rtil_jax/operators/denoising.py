"""Denoising: everything is measured, and only the noise is in the way."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.operators.interface import Images, ImageShape
from rtil_jax.operators.ratios import require_whole


@struct.dataclass
class Denoising:
    """y = x; `measure` adds the noise, whose `noise_std` is in the units of pixels.

    Without noise it asks how well a prior can represent an image at all.

    Attributes:
        image_shape: `(height, width, channels)`.
    """

    noise_unit: ClassVar[str] = "pixels"
    image_shape: ImageShape = struct.field(pytree_node=False)

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "Denoising":
        """The operator; `key` is unused.

        Raises:
            UserError: if `ratio` is not 1.
        """
        require_whole("denoising", ratio)
        return cls(image_shape=image_shape)

    @property
    def mask(self) -> Float[Array, ""]:
        return jnp.ones((), jnp.float32)

    @property
    def num_measurements(self) -> int:
        return math.prod(self.image_shape)

    def __call__(self, x: Images) -> Images:
        return x

    def adjoint(self, y: Images) -> Images:
        return y

    def preview(self, y: Images) -> Images:
        """The noisy image."""
        return jnp.clip(y, -1, 1)
