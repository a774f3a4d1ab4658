"""Inpainting of pixels missing at random."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.operators.interface import Images, ImageShape
from rtil_jax.operators.masks import random_mask, scale


@struct.dataclass
class Inpainting:
    """Inpainting of pixels missing at random: y = mask * x.

    The standard deviation of noise on y is in the units of pixels.

    Attributes:
        mask: `(height, width, 1)`, shared by the channels.
        channels: of the images.
    """

    noise_unit: ClassVar[str] = "pixels"
    array_rank: ClassVar[int] = 3  # without a batch axis
    mask: Any
    channels: int = struct.field(pytree_node=False)

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "Inpainting":
        height, width, channels = image_shape
        # The public code keeps each pixel with probability `ratio`; we keep that
        # fraction exactly, so that `ratio` means what it says for every image.
        count = max(1, round(ratio * height * width))
        mask = random_mask(key, height * width, count)
        return cls(mask=mask.reshape(height, width, 1), channels=channels)

    @property
    def num_measurements(self) -> Float[Array, "*batch"]:
        return self.channels * jnp.sum(self.mask, axis=(-3, -2, -1))

    def __call__(self, x: Images) -> Images:
        return scale(self.mask, x)

    def adjoint(self, y: Images) -> Images:
        return scale(self.mask, y)

    def preview(self, y: Images) -> Images:
        """The observed pixels on grey."""
        return jnp.clip(y, -1, 1)
