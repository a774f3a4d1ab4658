"""AlexNet and VGG16 up to their last activations, as perceptual distances read them.

A network is a table, the weights are arguments. The layers are torchvision's, whose
trained weights LPIPS and the public mGANprior code use. Every pooling moves 2 pixels
and drops an incomplete window at the border, as in torchvision.
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
# `(batch, rows, columns, channels)`; each layer has its own last three.
Activations = Float[Array, "batch _ _ _"]

# Below this AlexNet's last pooling has less than one window.
LEAST_SIZE = 32

# ImageNet's means (0.485, 0.456, 0.406) and deviations (0.229, 0.224, 0.225), carried
# over from [0, 1] to [-1, 1]: 2 mean - 1 and 2 deviation. LPIPS prints these numbers.
SHIFT = np.array([-0.030, -0.088, -0.188], np.float32)
SCALE = np.array([0.458, 0.448, 0.450], np.float32)


class Convolution(NamedTuple):
    """Weights of one layer: kernel `(height, width, in, out)` and bias `(out,)`."""

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
        """ReLU activations after each of `read_after`.

        Args:
            convolutions: the weights, one per entry of `kernels`.
            images: `(batch, height, width, channels)` in [-1, 1];
                grey ones are repeated to 3 channels.

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
    """Shapes of successive `size` x `size` kernels between these channel counts."""
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
    """[-1, 1] to the inputs that the networks were trained on; grey becomes RGB.

    Raises:
        UserError: if the images are too small or neither grey nor RGB, or (outside
            `jax.jit`, where values are known) not in [-1, 1].
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
            f"perceptual distance: found images of {channels} channels, expected 1 or 3"
        )
    rgb = jnp.broadcast_to(images, (*images.shape[:3], 3))
    return (rgb - SHIFT.reshape(1, 1, 1, 3)) / SCALE.reshape(1, 1, 1, 3)


def convolve(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "size size in out"]
) -> Float[Array, "batch rows columns out"]:
    """Convolution with zero padding, as `Network.kernels` says."""
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
    """Maxima of `window` x `window` pixels, stride 2, no padding.

    Rows, then columns, of shifted views: the gradient is then a few selections.
    """
    for axis in (1, 2):
        span = (x.shape[axis] - window) // 2 * 2 + 1
        views = (
            jax.lax.slice_in_dim(x, start, start + span, stride=2, axis=axis)
            for start in range(window)
        )
        x = functools.reduce(jnp.maximum, views)
    return x
