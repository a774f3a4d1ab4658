"""Super-resolution: measures a bicubically downsampled image."""

import functools
import math
import operator
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.errors import UserError
from rtil_jax.operators.algebra import Linear
from rtil_jax.operators.checks import as_image_shape
from rtil_jax.operators.interface import Images, ImageShape, Unmasked
from rtil_jax.operators.pytrees import operator_class, stored

SmallImages = Float[Array, "*batch rows columns channels"]


@operator_class
class SuperResolution(Unmasked, Linear):
    """Downsamples bicubically by a whole factor, for super-resolution.

    The kernel is that of the public code (of PULSE and ILO): antialiased Keys cubic
    with a = -0.5 and reflected borders. Pillow's bicubic filter differs only in the two
    outermost pixels, where it ignores the border and renormalises, so a picture that
    Pillow has shrunk can serve as y. The operator is not random. The standard deviation
    of noise on y is in the units of pixels (of the small image).

    >>> SuperResolution(4, (64, 64, 3)).output_shape
    (16, 16, 3)

    Attributes:
        factor: the factor of the downsampling, at least 2.
        image_shape: `(height, width, channels)` of the large images.
    """

    noise_unit: ClassVar[str] = "pixels"
    factor: int = struct.field(pytree_node=False)
    image_shape: ImageShape = struct.field(pytree_node=False)

    def __init__(self, factor: Any, image_shape: Any) -> None:
        """Makes the operator for a factor of 2, 3, 4, ...

        Raises:
            UserError: if the factor is not a whole number from 2, or does not divide
                the height and the width.
        """
        shape = as_image_shape("SuperResolution", image_shape)
        try:
            whole = operator.index(factor)
        except TypeError:
            whole = 0
        if whole < 2 or shape[0] % whole or shape[1] % whole:
            raise UserError(
                f"SuperResolution: found factor {factor!r} for images of {shape[0]}x"
                f"{shape[1]} pixels, expected a whole number from 2 that divides both"
            )
        object.__setattr__(self, "factor", whole)
        object.__setattr__(self, "image_shape", shape)

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "SuperResolution":
        """Returns the operator, which is not random.

        Args:
            key: not used.
            image_shape: `(height, width, channels)`.
            ratio: 1 / factor, for a factor of 2, 4, 8 or 16.

        Raises:
            UserError: if 1 / ratio is not 2, 4, 8 or 16, or does not divide the size.
        """
        factor, (height, width, _) = round(1 / ratio), image_shape
        if factor not in (2, 4, 8, 16) or not math.isclose(factor * ratio, 1):
            raise UserError(
                f"ratios: found {ratio:g} with problem=super_resolution, expected "
                "1 / 2, 1 / 4, 1 / 8 or 1 / 16 (0.5, 0.25, 0.125, 0.0625)"
            )
        if height % factor or width % factor:
            raise UserError(
                f"ratios: found {ratio:g} with problem=super_resolution, expected 1 / "
                f"factor for a factor that divides {height}x{width} pixels"
            )
        return stored(cls, factor=factor, image_shape=image_shape)

    @property
    def num_measurements(self) -> int:
        return math.prod(self.image_shape) // self.factor**2

    def preview(self, y: SmallImages) -> Images:
        """Returns the small image with its pixels enlarged to squares."""
        tall = jnp.repeat(y, self.factor, axis=-3)
        return jnp.clip(jnp.repeat(tall, self.factor, axis=-2), -1, 1)

    def _forward(self, x: Images) -> SmallImages:
        return self._resample("ih,jw,...hwc->...ijc", _bicubic_matrix, x)

    def _adjoint(self, y: SmallImages) -> Images:
        return self._resample("ih,jw,...ijc->...hwc", _bicubic_matrix, y)

    def _pinv(self, y: SmallImages) -> Images:
        return self._resample("hi,wj,...ijc->...hwc", _inverse_matrix, y)

    def _resample(self, subscripts: str, matrix: Callable, x: Array) -> Array:
        (height, width, _), dtype = self.image_shape, jnp.promote_types(x.dtype, "f4")
        rows = matrix(height, self.factor).astype(dtype)
        columns = matrix(width, self.factor).astype(dtype)
        # By default, accelerators round the factors of a product to 10 bits or fewer.
        return jnp.einsum(subscripts, rows, columns, x, precision="highest")


def _keys_cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution kernel with a = -0.5."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


@functools.cache
def _bicubic_matrix(size: int, factor: int) -> np.ndarray:
    """Downsampling of one axis as a `(size // factor, size)` matrix.

    4 * factor taps at stride `factor` over the axis reflected by 3 * factor in total,
    about the middle of each `factor` pixels; of an odd factor, one tap is 0.
    """
    before = 3 * factor // 2
    middle = before + (factor - 1) / 2
    taps = _keys_cubic((np.arange(4 * factor) - middle) / factor)
    # Which pixel each position of the padded axis reads; `reflect` goes to and fro as
    # often as an image smaller than its padding needs.
    source = np.pad(np.arange(size), (before, 3 * factor - before), mode="reflect")
    rows = np.arange(size // factor)[:, None]
    reads = source[factor * rows + np.arange(4 * factor)]
    matrix = np.zeros((size // factor, size))
    np.add.at(matrix, (rows, reads), taps / taps.sum())
    return matrix


@functools.cache
def _inverse_matrix(size: int, factor: int) -> np.ndarray:
    """The pseudo-inverse of `_bicubic_matrix`; that of both axes is their product."""
    return np.linalg.pinv(_bicubic_matrix(size, factor))
