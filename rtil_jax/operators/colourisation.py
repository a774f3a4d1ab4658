"""Colourisation of grey images."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.errors import UserError
from rtil_jax.operators.interface import Images, ImageShape
from rtil_jax.operators.ratios import require_whole

GreyImages = Float[Array, "*batch height width 1"]
# Luma of red, green and blue in ITU-R BT.601, which JPEG uses too.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@struct.dataclass
class Colourisation:
    """y is the luma of each pixel, 0.299 red + 0.587 green + 0.114 blue.

    The standard deviation of noise on y is in the units of luma, which has the range of
    pixels.

    Attributes:
        image_shape: `(height, width, 3)`.
    """

    noise_unit: ClassVar[str] = "luma"
    image_shape: ImageShape = struct.field(pytree_node=False)

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "Colourisation":
        """The operator; `key` is unused.

        Raises:
            UserError: if the images do not have 3 channels, or `ratio` is not 1.
        """
        require_whole("colourisation", ratio)
        if image_shape[-1] != len(LUMA):
            raise UserError(
                f"channels: found {image_shape[-1]} with problem=colourisation, "
                "expected a prior of 3 (RGB)"
            )
        return cls(image_shape=image_shape)

    @property
    def mask(self) -> Float[Array, ""]:
        return jnp.ones((), jnp.float32)

    @property
    def num_measurements(self) -> int:
        return math.prod(self.image_shape[:2])

    def __call__(self, x: Images) -> GreyImages:
        return jnp.einsum("c,...c->...", LUMA, x, precision="highest")[..., None]

    def adjoint(self, y: GreyImages) -> Images:
        return jnp.einsum("c,...->...c", LUMA, y[..., 0], precision="highest")

    def preview(self, y: GreyImages) -> Images:
        """The grey image."""
        return jnp.clip(jnp.repeat(y, len(LUMA), axis=-1), -1, 1)
