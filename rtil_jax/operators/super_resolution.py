"""Super-resolution: bicubic downsampling."""

import functools
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.errors import UserError
from rtil_jax.operators.interface import Images, ImageShape

SmallImages = Float[Array, "*batch rows columns channels"]


@struct.dataclass
class SuperResolution:
    """Super-resolution: bicubic downsampling by 2, 4, 8 or 16.

    The kernel of the public code (PULSE's, and ILO's): antialiased Keys cubic with
    a = -0.5 and reflected borders. Nothing in it is random. The standard deviation of
    noise on y is in the units of (the small image's) pixels.

    Attributes:
        image_shape: `(height, width, channels)`.
        factor: of the downsampling.
    """

    noise_unit: ClassVar[str] = "pixels"
    image_shape: ImageShape = struct.field(pytree_node=False)
    factor: int = struct.field(pytree_node=False)

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "SuperResolution":
        """The operator; `key` is unused.

        Raises:
            UserError: if 1 / ratio is not 2, 4, 8 or 16, or does not divide the size.
        """
        factor, (height, width, _) = round(1 / ratio), image_shape
        if factor not in (2, 4, 8, 16) or not math.isclose(factor * ratio, 1):
            raise UserError(
                f"ratios: found {ratio:g} with problem=super_resolution, expected "
                "1 / factor for a factor of 2, 4, 8 or 16 (0.5, 0.25, 0.125, 0.0625)"
            )
        if height % factor or width % factor:
            raise UserError(
                f"ratios: found {ratio:g} with problem=super_resolution, expected a "
                f"factor that divides the image size of {height}x{width} pixels"
            )
        return cls(image_shape=image_shape, factor=factor)

    @property
    def mask(self) -> Float[Array, ""]:
        return jnp.ones((), jnp.float32)

    @property
    def num_measurements(self) -> int:
        return math.prod(self.image_shape) // self.factor**2

    def __call__(self, x: Images) -> SmallImages:
        return self._resample("ih,jw,...hwc->...ijc", x)

    def adjoint(self, y: SmallImages) -> Images:
        return self._resample("ih,jw,...ijc->...hwc", y)

    def _resample(self, subscripts: str, x: Array) -> Array:
        height, width, _ = self.image_shape
        rows = _bicubic_matrix(height, self.factor)
        columns = _bicubic_matrix(width, self.factor)
        # By default, accelerators round the factors of a product to 10 bits or fewer.
        return jnp.einsum(subscripts, rows, columns, x, precision="highest")

    def preview(self, y: SmallImages) -> Images:
        """The small image, its pixels enlarged to squares."""
        tall = jnp.repeat(y, self.factor, axis=-3)
        return jnp.clip(jnp.repeat(tall, self.factor, axis=-2), -1, 1)


def _keys_cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution kernel with a = -0.5."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


@functools.cache
def _bicubic_matrix(size: int, factor: int) -> np.ndarray:
    """Downsampling of one axis as a `(size // factor, size)` matrix.

    4 * factor taps at stride `factor` over the axis reflected by 3 * factor in total.
    """
    taps = _keys_cubic((np.arange(4 * factor) - 2 * factor + 0.5) / factor)
    before = 3 * factor // 2
    # Which pixel each position of the padded axis reads; `reflect` goes to and fro as
    # often as an image smaller than its padding needs.
    source = np.pad(np.arange(size), (before, 3 * factor - before), mode="reflect")
    rows = np.arange(size // factor)[:, None]
    reads = source[factor * rows + np.arange(4 * factor)]
    matrix = np.zeros((size // factor, size))
    np.add.at(matrix, (rows, reads), taps / taps.sum())
    return matrix.astype(np.float32)
