"""Deblurring: convolution with a Gaussian, or with the streak of a motion.

The ratio is 1 / width of the blur in pixels, as it is 1 / factor for super-resolution:
1 is (almost) sharp, and smaller ratios are harder. Convolutions are circular, so each
border blurs into the opposite one; `Blur` can also reflect.
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
    """Blurs with a Gaussian whose full width at half maximum is 1 / ratio pixels."""

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "GaussianDeblurring":
        """Returns the operator, which is not random.

        Args:
            key: not used.
            image_shape: `(height, width, channels)`.
            ratio: 1 / width of the blur in pixels, in (0, 1].

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
    """Blurs by uniform motion over 1 / ratio pixels in a random direction."""

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "MotionDeblurring":
        """Draws the direction of the motion, which is the same for every ratio.

        Args:
            key: the PRNG key of the direction.
            image_shape: `(height, width, channels)`.
            ratio: 1 / length of the motion in pixels, in (0, 1].

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
    """Returns a circular blur with a kernel centred on pixel (0, 0)."""
    spectrum = spectrum_of(kernel[..., None])
    return stored(cls, spectrum=spectrum, image_shape=image_shape, padding=None)


def _width(problem: str, image_shape: ImageShape, ratio: float | int) -> float:
    """Returns the width of the blur, 1 / ratio.

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
    """Returns signed distances of pixels from positions on a circle of pixels."""
    offsets = np.arange(size, dtype=np.float32)[None] - positions[:, None]
    return (offsets + size / 2) % size - size / 2
