"""Blur with your own kernel (point-spread function)."""

import math
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array

from rtil_jax.arrays import is_traced
from rtil_jax.errors import UserError
from rtil_jax.operators.algebra import Linear
from rtil_jax.operators.checks import as_image_shape, as_real_values
from rtil_jax.operators.interface import Images, ImageShape, Unmasked
from rtil_jax.operators.masks import scale
from rtil_jax.operators.pytrees import operator_class

BORDERS = ("circular", "reflect")
Padding = tuple[tuple[int, int], tuple[int, int]]


@operator_class
class Blur(Unmasked, Linear):
    """Blurs every channel with a kernel: y = kernel * x, a convolution.

    With `circular` borders, each side blurs into the opposite one. With `reflect`, the
    image continues as its mirror image, without repeating the outermost pixels.

    The standard deviation of noise on y is in the units of pixels.

    >>> import jax.numpy as jnp
    >>> A = Blur(jnp.ones((3, 3)) / 9, (16, 16, 3), borders="reflect")
    >>> float(A(jnp.ones((16, 16, 3))).max().round(3))
    1.0

    Attributes:
        spectrum: rfft2 of the kernel at the size of the padded image, `(height, width
            // 2 + 1, 1)` complex64. The kernel is centred on pixel (0, 0).
        image_shape: `(height, width, channels)`.
        padding: for `reflect`, the pixels added before and after rows and columns.
    """

    noise_unit: ClassVar[str] = "pixels"
    array_rank: ClassVar[int] = 3  # without a batch axis
    spectrum: Any
    image_shape: ImageShape = struct.field(pytree_node=False)
    padding: Padding | None = struct.field(pytree_node=False)

    def __init__(
        self, kernel: Any, image_shape: Any, borders: str = "circular"
    ) -> None:
        """Makes a blur from a kernel.

        Args:
            kernel: the blurred image of a single pixel of value 1, `(rows, columns)`
                with its centre at (rows // 2, columns // 2), or `(rows, columns,
                channels)`. It is not normalised; pass `kernel / kernel.sum()` to keep
                the brightness.
            image_shape: `(height, width, channels)`.
            borders: `circular` or `reflect`.

        Raises:
            UserError: if the kernel is larger than the image or sums to 0.
        """
        shape = as_image_shape("Blur", image_shape)
        if borders not in BORDERS:
            raise UserError(
                f"Blur: found borders={borders!r}, expected circular or reflect"
            )
        array = _as_kernel(kernel, shape)
        rows, columns = array.shape[:2]
        centre = rows // 2, columns // 2
        padding = None
        if borders == "reflect":
            # Pixels before a pixel are weighed by the kernel after its centre.
            padding = ((rows - 1) // 2, rows // 2), ((columns - 1) // 2, columns // 2)
        sizes = [
            size + sum(padding[axis] if padding else (0,))
            for axis, size in enumerate(shape[:2])
        ]
        ends = [(0, size - n) for size, n in zip(sizes, (rows, columns), strict=True)]
        placed = jnp.pad(array, (*ends, (0, 0)))
        centred = jnp.roll(placed, (-centre[0], -centre[1]), (0, 1))
        object.__setattr__(self, "spectrum", spectrum_of(centred))
        object.__setattr__(self, "image_shape", shape)
        object.__setattr__(self, "padding", padding)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.image_shape

    @property
    def num_measurements(self) -> int:
        return math.prod(self.image_shape)

    def preview(self, y: Images) -> Images:
        """Returns the blurred image itself."""
        return jnp.clip(y, -1, 1)

    def _forward(self, x: Images) -> Images:
        if self.padding is None:
            return self._filter(self.spectrum, x)
        (top, bottom), (left, right) = self.padding
        ends = ((top, bottom), (left, right), (0, 0))
        padded = jnp.pad(x, [(0, 0)] * (x.ndim - 3) + list(ends), mode="reflect")
        height, width, _ = self.image_shape
        y = self._filter(self.spectrum, padded)
        return y[..., top : top + height, left : left + width, :]

    def _adjoint(self, y: Images) -> Images:
        if self.padding is None:
            return self._filter(jnp.conj(self.spectrum), y)
        return super()._adjoint(y)

    def _pinv(self, y: Images) -> Images:
        if self.padding is None:
            return self._filter(inverse_of(self.spectrum), y)
        return super()._pinv(y)

    def _filter(self, spectrum: Array, x: Images) -> Images:
        axes, size = (-3, -2), x.shape[-3:-1]
        product = scale(spectrum, jnp.fft.rfft2(x, axes=axes))
        return jnp.fft.irfft2(product, s=size, axes=axes)


def spectrum_of(kernel: Any) -> Array:
    """Returns `Blur.spectrum` of a kernel `(height, width, 1)` centred on (0, 0)."""
    planes = jnp.fft.rfft2(jnp.moveaxis(jnp.asarray(kernel), -1, 0))
    return jnp.moveaxis(planes, 0, -1)


def inverse_of(spectrum: Array) -> Array:
    """Returns 1 / spectrum, and 0 where the spectrum is 0 up to rounding."""
    size = jnp.abs(spectrum)
    seen = size > 100 * jnp.finfo(size.dtype).eps * jnp.max(size)
    return jnp.where(seen, 1 / jnp.where(seen, spectrum, 1), 0)


def _as_kernel(found: Any, image_shape: ImageShape) -> Array:
    """Checks a kernel; returns it as `(rows, columns, 1 or channels)`."""
    kernel = as_real_values("Blur: kernel", found)
    shape, (height, width, channels) = kernel.shape, image_shape
    kernel = kernel[..., None] if kernel.ndim == 2 else kernel
    if kernel.ndim != 3 or kernel.shape[-1] not in (1, channels):
        raise UserError(
            f"Blur: kernel: found shape {shape}, expected (rows, columns)"
            + (f" or (rows, columns, {channels})" if channels > 1 else "")
        )
    if kernel.shape[0] > height or kernel.shape[1] > width:
        raise UserError(
            f"Blur: kernel: found {kernel.shape[0]}x{kernel.shape[1]} pixels, expected "
            f"at most the image's {height}x{width}"
        )
    if not is_traced(kernel):
        weights = np.asarray(kernel, np.float64)
        sums, sizes = weights.sum((0, 1)), np.abs(weights).sum((0, 1))
        if np.any(np.abs(sums) <= 1e-6 * sizes):
            raise UserError(
                "Blur: kernel: found weights that sum to 0, which removes the "
                "brightness, expected a sum other than 0, usually 1"
            )
    return jnp.asarray(kernel)
