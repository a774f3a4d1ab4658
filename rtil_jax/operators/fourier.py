"""Fourier measurements, as in magnetic resonance imaging: a mask of k-space."""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Complex, Float

from rtil_jax.arrays import as_array
from rtil_jax.errors import UserError
from rtil_jax.operators.algebra import Linear
from rtil_jax.operators.checks import as_channels, as_image_shape, as_mask
from rtil_jax.operators.fourier_lines import FourierLines
from rtil_jax.operators.interface import ANY, Images, ImageShape
from rtil_jax.operators.masks import scale
from rtil_jax.operators.pytrees import operator_class

Spectra = Complex[Array, "*batch height width channels"]
AXES = (-3, -2)


@operator_class
class Fourier(Linear):
    """Measures k-space under a mask, as in MRI: y = mask * F x.

    F is the orthonormal 2-D Fourier transform of every channel, centred as usual in
    magnetic resonance imaging (fastMRI, BART, deepinv):
    `fftshift(fft2(ifftshift(x)))`, with frequency 0 and the origin of the image at
    (height // 2, width // 2). The mask may be lines along either axis, points, or
    spirals on the grid.

    The spectrum of a real image is symmetric: y at -k is the conjugate of y at k.
    `num_measurements` counts both if both are measured. `Fourier.sample` draws another
    form that avoids this, see `FourierLines`.

    The standard deviation of noise on y is that of its real and imaginary parts, in the
    units of these coefficients.

    >>> import numpy as np
    >>> mask = np.zeros((16, 16), bool)
    >>> mask[:, 6:10] = True  # four columns in the middle
    >>> A = Fourier(mask, channels=1)
    >>> A.output_shape, int(A.num_measurements)
    ((16, 16, 1), 128)

    Attributes:
        mask: `(height, width, 1)`, 1 where k-space is measured.
        channels: channels of the images. None fits any number; `input_shape` then says
            3, until `fitted` or a `Problem` has seen the images.
    """

    noise_unit: ClassVar[str] = "y, coefficients of the orthonormal transform"
    array_rank: ClassVar[int] = 3  # without a batch axis
    mask: Any = struct.field()
    channels: int | None = struct.field(pytree_node=False)

    def __init__(
        self, mask: Any, image_shape: Any = None, channels: int | None = None
    ) -> None:
        """Makes the operator from a mask.

        Args:
            mask: 1 or True where k-space is measured, its centre in the middle:
                `(height, width)`; with `image_shape` also `(height, 1)` for rows or
                `(1, width)` for columns.
            image_shape: `(height, width, channels)`; None takes it from the mask.
            channels: channels of the images, in place of `image_shape`; None fits any
                number.

        Raises:
            UserError: if shapes or values are wrong, or nothing is measured.
        """
        if image_shape is not None:
            shape = as_image_shape("Fourier", image_shape)
            channels = as_channels("Fourier", channels) or shape[-1]
            image_shape = (*shape[:2], channels)
        object.__setattr__(self, "mask", as_plane("Fourier: mask", mask, image_shape))
        object.__setattr__(self, "channels", as_channels("Fourier", channels))

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> FourierLines:
        """Draws random lines, like `FourierLines.sample`.

        Args:
            key: the PRNG key of the lines.
            image_shape: `(height, width, channels)`.
            ratio: the fraction of lines that are measured, in (0, 1].
        """
        return FourierLines.sample(key, image_shape, ratio)

    @property
    def input_shape(self) -> ImageShape:
        height, width = self.mask.shape[-3:-1]
        return height, width, self.channels or 3

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.input_shape

    @property
    def num_measurements(self) -> Float[Array, "*batch"]:
        return 2 * self.input_shape[-1] * jnp.sum(self.mask, axis=(-3, -2, -1))

    def fitted(self, image_shape: ImageShape) -> "Fourier":
        return self if self.channels else self.replace(channels=image_shape[-1])

    def preview(self, y: Spectra) -> Images:
        """Returns the back-projection A^T y: other frequencies of the image are 0."""
        return jnp.clip(self.adjoint(y), -1, 1)

    def _forward(self, x: Images) -> Spectra:
        return scale(self.mask, transform(x))

    def _adjoint(self, y: Spectra) -> Images:
        return inverse_transform(scale(self.mask, y)).real

    def _pinv(self, y: Spectra) -> Images:
        # A^T A weighs frequency k by the mean of the mask at k and at -k.
        origin = jnp.fft.ifftshift(self.mask, axes=AXES)
        mirrored = jnp.roll(jnp.flip(origin, AXES), (1, 1), AXES)
        weights = (self.mask + jnp.fft.fftshift(mirrored, axes=AXES)) / 2
        inverse = jnp.where(weights > 0, 1 / jnp.where(weights > 0, weights, 1), 0)
        return inverse_transform(scale(inverse, transform(self._adjoint(y)))).real

    def _input_pattern(self) -> tuple[int | None, ...]:
        height, width = self.mask.shape[-3:-1]
        return height, width, self.channels or ANY

    def _output_pattern(self) -> tuple[int | None, ...]:
        return self._input_pattern()


def transform(x: Array) -> Array:
    """Applies F to the axes (height, width) before the last one."""
    spectrum = jnp.fft.fft2(jnp.fft.ifftshift(x, axes=AXES), axes=AXES, norm="ortho")
    return jnp.fft.fftshift(spectrum, axes=AXES)


def inverse_transform(y: Array) -> Array:
    """Applies F^-1, which is the conjugate transpose of F."""
    image = jnp.fft.ifft2(jnp.fft.ifftshift(y, axes=AXES), axes=AXES, norm="ortho")
    return jnp.fft.fftshift(image, axes=AXES)


def as_plane(name: str, found: Any, image_shape: ImageShape | None) -> Array:
    """Returns a mask as `(height, width, 1)`; expands lines to `image_shape`.

    Args:
        name: the name of the mask in an error.
        found: what the user gave.
        image_shape: `(height, width, channels)`, or None.

    Raises:
        UserError: if shapes or values are wrong, or nothing is measured.
    """
    mask = as_array(name, found)
    plane = mask[..., None] if mask.ndim == 2 else mask
    size = plane.shape[:2] if image_shape is None else image_shape[:2]
    fits = (
        plane.ndim == 3
        and plane.shape[-1] == 1
        and all(
            n in (1, wanted) for n, wanted in zip(plane.shape[:2], size, strict=True)
        )
    )
    if not fits:
        expected = "(height, width)"
        if image_shape is not None:
            height, width = size
            expected = f"({height}, {width}), ({height}, 1) or (1, {width})"
        hint = ""
        if mask.ndim == 1 and mask.shape[0] in size:
            hint = "; for lines write mask[:, None] (rows) or mask[None] (columns)"
        raise UserError(f"{name}: found shape {mask.shape}, expected {expected}{hint}")
    if image_shape is None and 1 in size and math.prod(size) > 1:
        raise UserError(
            f"{name}: found shape {mask.shape}, which is a line, expected (height, "
            "width), or image_shape=(height, width, channels) too"
        )
    return jnp.broadcast_to(jnp.asarray(as_mask(name, plane)), (*size, 1))
