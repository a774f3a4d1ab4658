"""Inpainting: some pixels are seen, the others are missing."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.arrays import as_array
from rtil_jax.errors import UserError
from rtil_jax.operators.algebra import Linear
from rtil_jax.operators.checks import as_channels, as_mask
from rtil_jax.operators.interface import ANY, Images, ImageShape
from rtil_jax.operators.masks import random_mask, scale
from rtil_jax.operators.pytrees import operator_class, stored


@operator_class
class Inpainting(Linear):
    """Measures the pixels under a mask: y = mask * x.

    Missing pixels are 0 in y, which is mid-grey.

    The standard deviation of noise on y is in the units of pixels.

    >>> import numpy as np
    >>> mask = np.ones((8, 8), bool)
    >>> mask[2:5, 3:6] = False
    >>> A = Inpainting(mask, channels=3)
    >>> A.input_shape, int(A.num_measurements)
    ((8, 8, 3), 165)

    Attributes:
        mask: `(height, width, 1)` for all channels, or `(height, width, channels)` if
            each channel has its own, as in the mosaic of a camera sensor.
        channels: channels of the images. None fits any number; `input_shape` then says
            3, until `fitted` or a `Problem` has seen the images.
    """

    noise_unit: ClassVar[str] = "pixels"
    array_rank: ClassVar[int] = 3  # without a batch axis
    mask: Any = struct.field()
    channels: int | None = struct.field(pytree_node=False)

    def __init__(self, mask: Any, channels: int | None = None) -> None:
        """Makes the operator from a mask.

        Args:
            mask: 1 or True where a pixel is seen, 0 elsewhere: `(height, width)`,
                `(height, width, 1)` or `(height, width, channels)`; or one for each
                image, `(batch, height, width, 1)`.
            channels: channels of the images; None fits any number.

        Raises:
            UserError: if shapes or values are wrong, or nothing is seen.
        """
        name = f"{type(self).__name__}: mask"
        channels = as_channels(type(self).__name__, channels)
        array = as_array(name, mask)
        array = array[..., None] if array.ndim == 2 else array
        own = array.shape[-1] if array.ndim > 2 else 0
        if array.ndim not in (3, 4) or own not in (1, channels or own):
            raise UserError(
                f"{name}: found shape {jnp.shape(mask)}, expected (height, width), "
                f"(height, width, 1) or (height, width, {channels or 'channels'})"
            )
        object.__setattr__(self, "mask", jnp.asarray(as_mask(name, array)))
        object.__setattr__(self, "channels", channels or (own if own > 1 else None))

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "Inpainting":
        """Draws a mask of pixels at random places.

        Args:
            key: the PRNG key of the places.
            image_shape: `(height, width, channels)`.
            ratio: the fraction of pixels that are seen, in (0, 1].
        """
        height, width, channels = image_shape
        # The public code keeps each pixel with probability `ratio`; we keep exactly
        # that fraction in every image.
        count = max(1, round(ratio * height * width))
        mask = random_mask(key, height * width, count)
        return stored(cls, mask=mask.reshape(height, width, 1), channels=channels)

    @property
    def input_shape(self) -> ImageShape:
        height, width = self.mask.shape[-3:-1]
        return height, width, self.channels or 3

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.input_shape

    @property
    def num_measurements(self) -> Float[Array, "*batch"]:
        sharing = self.input_shape[-1] // self.mask.shape[-1]
        return sharing * jnp.sum(self.mask, axis=(-3, -2, -1))

    def fitted(self, image_shape: ImageShape) -> "Inpainting":
        return self if self.channels else self.replace(channels=image_shape[-1])

    def preview(self, y: Images) -> Images:
        """Returns the observed pixels on grey."""
        return jnp.clip(y, -1, 1)

    def _forward(self, x: Images) -> Images:
        return scale(self.mask, x)

    def _adjoint(self, y: Images) -> Images:
        return scale(self.mask, y)

    def _pinv(self, y: Images) -> Images:
        return scale(self.mask, y)

    def _input_pattern(self) -> tuple[int | None, ...]:
        height, width = self.mask.shape[-3:-1]
        return height, width, self.channels or ANY

    def _output_pattern(self) -> tuple[int | None, ...]:
        return self._input_pattern()
