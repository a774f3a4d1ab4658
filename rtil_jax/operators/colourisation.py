"""Colourisation of grey images."""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.errors import UserError
from rtil_jax.operators.algebra import Linear
from rtil_jax.operators.checks import as_image_shape, as_real_values
from rtil_jax.operators.interface import ANY, Images, ImageShape, Unmasked
from rtil_jax.operators.pytrees import operator_class, stored
from rtil_jax.operators.ratios import require_whole

GreyImages = Float[Array, "*batch height width 1"]
# Weights of red, green and blue in the luma of ITU-R BT.601, which JPEG uses too.
LUMA = (0.299, 0.587, 0.114)


@operator_class
class Colourisation(Unmasked, Linear):
    """Measures the grey value of each pixel, a weighted sum of its channels.

    The default weights are those of luma, 0.299 red + 0.587 green + 0.114 blue. Weights
    that sum to 1 keep grey pixels unchanged.

    >>> A = Colourisation((0.25, 0.5, 0.25), image_shape=(8, 8, 3))
    >>> A.output_shape, A.num_measurements
    ((8, 8, 1), 64)

    The standard deviation of noise on y is in the units of luma, which has the range of
    pixels.

    Attributes:
        weights: the weight of each channel, as Python numbers.
        image_shape: `(height, width, channels)`. None fits any size, but then shapes
            and the number of measurements are unknown until a `Problem` has images.
    """

    noise_unit: ClassVar[str] = "luma"
    weights: tuple[float, ...] = struct.field(pytree_node=False)
    image_shape: ImageShape | None = struct.field(pytree_node=False)

    def __init__(self, weights: Any = LUMA, image_shape: Any = None) -> None:
        """Makes the operator from a weight for each channel.

        Raises:
            UserError: if the number of weights is wrong, or all weights are 0.
        """
        array = np.asarray(as_real_values("Colourisation: weights", weights))
        shape = image_shape and as_image_shape("Colourisation", image_shape)
        channels = array.size if shape is None else shape[-1]
        if array.shape != (channels,) or not array.any():
            raise UserError(
                f"Colourisation: weights: found {array.tolist()}, expected {channels} "
                "numbers, one for each channel and not all 0"
            )
        object.__setattr__(self, "weights", tuple(array.tolist()))
        object.__setattr__(self, "image_shape", shape)

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "Colourisation":
        """Returns the operator, which is not random.

        Args:
            key: not used.
            image_shape: `(height, width, channels)`.
            ratio: 1, because all pixels are measured.

        Raises:
            UserError: if the images do not have 3 channels, or `ratio` is not 1.
        """
        require_whole("colourisation", ratio)
        if image_shape[-1] != len(LUMA):
            raise UserError(
                f"channels: found {image_shape[-1]} with problem=colourisation, "
                "expected a prior of 3 channels (RGB)"
            )
        return stored(cls, weights=LUMA, image_shape=image_shape)

    @property
    def input_shape(self) -> ImageShape:
        if self.image_shape is None:
            raise UserError(
                "Colourisation: found image_shape=None, expected image_shape=(height, "
                "width, channels), because its shape is needed"
            )
        return self.image_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (*self.input_shape[:2], 1)

    @property
    def num_measurements(self) -> int:
        return math.prod(self.input_shape[:2])

    def fitted(self, image_shape: ImageShape) -> "Colourisation":
        return self if self.image_shape else Colourisation(self.weights, image_shape)

    def preview(self, y: GreyImages) -> Images:
        """Returns the grey image."""
        return jnp.clip(jnp.repeat(y, len(self.weights), axis=-1), -1, 1)

    def _forward(self, x: Images) -> GreyImages:
        weights = np.asarray(self.weights, jnp.promote_types(x.dtype, "f4"))
        return jnp.einsum("c,...c->...", weights, x, precision="highest")[..., None]

    def _adjoint(self, y: GreyImages) -> Images:
        weights = np.asarray(self.weights, jnp.promote_types(y.dtype, "f4"))
        return jnp.einsum("c,...->...c", weights, y[..., 0], precision="highest")

    def _pinv(self, y: GreyImages) -> Images:
        return self._adjoint(y) / sum(weight**2 for weight in self.weights)

    def _input_pattern(self) -> tuple[int | None, ...]:
        return self.image_shape or (ANY, ANY, len(self.weights))

    def _output_pattern(self) -> tuple[int | None, ...]:
        return (*self._input_pattern()[:2], 1)
