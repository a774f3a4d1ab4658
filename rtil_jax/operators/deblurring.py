"""Deblurring: convolution with a Gaussian, or with the streak of a motion.

The ratio is 1 / the width of the blur in pixels, as it is 1 / factor for
super-resolution: 1 is (almost) sharp, and smaller is harder. Convolutions are circular,
so borders blur into the opposite ones; `Blur` by a kernel of one's own may reflect.
"""

import math
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rtil_jax.errors import UserError
from rtil_jax.operators.blur import Blur, spectrum_of
from rtil_jax.operators.interface import ImageShape
from rtil_jax.operators.pytrees import operator_class, stored

T = TypeVar("T", bound=Blur)
Kernel = Float[Array | np.ndarray, "height width"]


@operator_class
class GaussianDeblurring(Blur):
    """Blur by a Gaussian whose full width at half maximum is 1 / ratio pixels."""

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "GaussianDeblurring":
        """The operator; `key` is unused.

        Args:
            key: unused: nothing is random.
            image_shape: `(height, width, channels)`.
            ratio: 1 / width of the blur in pixels.

        Raises:
            UserError: if the blur is wider than the image.
        """
        blur = _width("gaussian_deblurring", image_shape, ratio)
        height, width, _ = image_shape
        rows, columns = (
            np.exp2(-((2 * _distances(size, np.zeros(1)) / blur) ** 2))
            for size in (height, width)
        )
        kernel = rows[0][:, None] * columns[0]
        kernel = (kernel / kernel.sum()).astype(np.float32)
        return _blur(cls, kernel, image_shape)


@operator_class
class MotionDeblurring(Blur):
    """Blur by uniform motion along 1 / ratio pixels, in a random direction."""

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "MotionDeblurring":
        """The operator; its direction is random, and the same at every ratio.

        Args:
            key: of its direction.
            image_shape: `(height, width, channels)`.
            ratio: 1 / length of the motion in pixels.

        Raises:
            UserError: if the motion is longer than the image.
        """
        blur = _width("motion_deblurring", image_shape, ratio)
        height, width, _ = image_shape
        angle = jax.random.uniform(key, dtype=jnp.float32, maxval=math.pi)
        # Positions less than half a pixel apart, each shared by its four pixels in
        # the proportions of bilinear interpolation. From centre to centre, `blur`
        # pixels in line are one less apart.
        count = 2 * min(height, width) + 1
        along = (blur - 1) * np.linspace(-0.5, 0.5, count, dtype=np.float32)
        rows, columns = (
            jnp.maximum(0, 1 - jnp.abs(_distances(size, along * direction)))
            for size, direction in ((height, jnp.sin(angle)), (width, jnp.cos(angle)))
        )
        kernel = jnp.einsum("ph,pw->hw", rows, columns, precision="highest") / count
        return _blur(cls, kernel, image_shape)


def _blur(cls: type[T], kernel: Kernel, image_shape: ImageShape) -> T:
    """A circular blur by a kernel centred on pixel (0, 0)."""
    spectrum = spectrum_of(kernel[..., None])
    return stored(cls, spectrum=spectrum, image_shape=image_shape, padding=None)


def _width(problem: str, image_shape: ImageShape, ratio: float | int) -> float:
    """1 / ratio.

    Raises:
        UserError: if it is above the smaller side of the image.
    """
    height, width, _ = image_shape
    if 1 / ratio > min(height, width):
        raise UserError(
            f"ratios: found {ratio:g} with problem={problem}, a blur of {1 / ratio:g} "
            f"pixels, expected at least {1 / min(height, width):g} for images of "
            f"{height}x{width} pixels"
        )
    return 1 / ratio


def _distances(
    size: int, positions: Float[Array | np.ndarray, " p"]
) -> Float[Array | np.ndarray, "p size"]:
    """Signed distances of pixels from positions on a circle of `size` pixels."""
    offsets = np.arange(size, dtype=np.float32)[None] - positions[:, None]
    return (offsets + size / 2) % size - size / 2
