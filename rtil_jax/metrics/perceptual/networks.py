"""AlexNet and VGG16 up to their last activations, for perceptual distances.

A network is a table of layers; the weights are arguments. The layers are those of
torchvision, whose trained weights LPIPS and the public mGANprior code use. Every
pooling has stride 2 and drops an incomplete window at the border, as in torchvision.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rtil_jax.arrays import check_images, check_values
from rtil_jax.convolutions import conv3x3
from rtil_jax.errors import UserError

Images = Float[Array | np.ndarray, "batch height width channels"]
# `(batch, rows, columns, channels)`; the last three differ between layers.
Activations = Float[Array, "batch _ _ _"]

# For smaller images, AlexNet's last pooling would have less than one window.
LEAST_SIZE = 32

# ImageNet's means (0.485, 0.456, 0.406) and deviations (0.229, 0.224, 0.225), converted
# from [0, 1] to [-1, 1]: 2 mean - 1 and 2 deviation. LPIPS uses these numbers.
SHIFT = np.array([-0.030, -0.088, -0.188], np.float32)
SCALE = np.array([0.458, 0.448, 0.450], np.float32)


class Convolution(NamedTuple):
    """The weights of a layer: kernel `(height, width, in, out)` and bias `(out,)`."""

    kernel: Array
    bias: Array


@dataclasses.dataclass(frozen=True)
class Network:
    """A chain of convolutions, each followed by a ReLU.

    Attributes:
        kernels: `(height, width, in, out)` of each convolution. All have stride 1 and
            keep the size, except that 11x11 has stride 4 and padding 2.
        pool_before: the convolutions whose input is max-pooled.
        pool_window: height and width of the windows.
        read_after: the convolutions whose activations are the result.
    """

    kernels: tuple[tuple[int, int, int, int], ...]
    pool_before: tuple[int, ...]
    pool_window: int
    read_after: tuple[int, ...]

    def activations(
        self, convolutions: Sequence[Convolution], images: Any
    ) -> tuple[Activations, ...]:
        """Returns the ReLU activations after each convolution of `read_after`.

        Args:
            convolutions: the weights of each convolution of `kernels`.
            images: `(batch, height, width, channels)` in [-1, 1]; grey images are
                repeated to 3 channels.

        Raises:
            UserError: if the images are too small or neither grey nor RGB.
        """
        x, found = normalise(images), []
        for index, convolution in enumerate(convolutions):
            if index in self.pool_before:
                x = max_pool(x, self.pool_window)
            bias = convolution.bias.reshape(1, 1, 1, -1)
            x = jax.nn.relu(convolve(x, convolution.kernel) + bias)
            if index in self.read_after:
                found.append(x)
        return tuple(found)


def _square(size: int, *channels: int) -> tuple[tuple[int, int, int, int], ...]:
    """Returns the shapes of successive `size` x `size` kernels with these channels."""
    pairs = zip(channels[:-1], channels[1:], strict=True)
    return tuple((size, size, *pair) for pair in pairs)


ALEXNET = Network(
    kernels=_square(11, 3, 64) + _square(5, 64, 192) + _square(3, 192, 384, 256, 256),
    pool_before=(1, 2),
    pool_window=3,
    read_after=(0, 1, 2, 3, 4),
)
VGG16 = Network(
    kernels=_square(3, 3, *2 * [64], *2 * [128], *3 * [256], *6 * [512]),
    pool_before=(2, 4, 7, 10),
    pool_window=2,
    read_after=(1, 3, 6, 9, 12),
)
# The seventh convolution is the third of the third block.
VGG16_RELU3_3 = dataclasses.replace(VGG16, kernels=VGG16.kernels[:7], read_after=(6,))


def normalise(images: Any) -> Float[Array, "batch height width 3"]:
    """Converts images in [-1, 1] to what the networks were trained on; grey to RGB.

    Raises:
        UserError: if the images are too small, neither grey nor RGB, or not in [-1, 1].
            Under `jax.jit` values are unknown and not checked.
    """
    images = check_images("perceptual distance: images", images)
    check_values("perceptual distance: images", images, (-1, 1))
    height, width, channels = images.shape[1:]
    if min(height, width) < LEAST_SIZE:
        raise UserError(
            f"perceptual distance: found images of {height}x{width} pixels, expected "
            f"at least {LEAST_SIZE}x{LEAST_SIZE}"
        )
    if channels not in (1, 3):
        raise UserError(
            f"perceptual distance: found images with {channels} channels, expected 1 "
            "or 3"
        )
    rgb = jnp.broadcast_to(images, (*images.shape[:3], 3))
    return (rgb - SHIFT.reshape(1, 1, 1, 3)) / SCALE.reshape(1, 1, 1, 3)


def convolve(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "size size in out"]
) -> Float[Array, "batch rows columns out"]:
    """Convolves with zero padding, as `Network.kernels` describes."""
    size = kernel.shape[0]
    if size == 3:
        return conv3x3(x, kernel)
    stride, padding = (4, 2) if size == 11 else (1, size // 2)
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        [(padding, padding)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def max_pool(
    x: Float[Array, "batch height width channels"], window: int
) -> Float[Array, "batch rows columns channels"]:
    """Takes maxima over `window` x `window` pixels, with stride 2 and no padding.

    It compares shifted views, rows first, because their gradient is a few selections.
    """
    for axis in (1, 2):
        span = (x.shape[axis] - window) // 2 * 2 + 1
        views = (
            jax.lax.slice_in_dim(x, start, start + span, stride=2, axis=axis)
            for start in range(window)
        )
        x = functools.reduce(jnp.maximum, views)
    return x
