"""The definition of every convolution, which GPUs and TPUs run as it stands.

The decorator of a definition names the functions of `cpu` that CPUs run instead.
"""

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from rtil_jax.convolutions import cpu
from rtil_jax.convolutions.convolving import convolve
from rtil_jax.convolutions.multilinear import multilinear
from rtil_jax.convolutions.resampling import blur


def conv1x1(
    x: Float[Array, "batch height width in"],
    kernel: Float[Array, "in out"],
    dtype: DTypeLike | None = None,
) -> Float[Array, "batch height width out"]:
    """1x1 convolution as a matrix product, so that its gradients are products too.

    Args:
        x: features.
        kernel: weights of each input channel in each output channel.
        dtype: type of the sums and of the result; by default that of the factors.
    """
    return jnp.einsum("bhwi,io->bhwo", x, kernel, preferred_element_type=dtype)


@multilinear(adjoints=(cpu.conv3x3_images, None))
def conv3x3(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "3 3 in out"]
) -> Float[Array, "batch height width out"]:
    """3x3 convolution, stride 1, zero padding 1."""
    return convolve(x, kernel, (1, 1))


@multilinear(cpu.conv3x3_up, (cpu.conv3x3_up_images, cpu.conv3x3_up_kernel))
def conv3x3_up(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "3 3 in out"]
) -> Float[Array, "batch height2 width2 out"]:
    """Transposed 3x3 convolution with stride 2, then the [1, 3, 3, 1] blur.

    Input position h scatters tap k to 2h + k, as `conv_transpose2d` does in the
    public code; the blur (sum 4, padding 1) trims the result to twice the size.
    """
    scattered = convolve(x, kernel[::-1, ::-1], (2, 2), spread=2)
    return 4 * blur(scattered, 1)


@multilinear(cpu.conv4x4_up, (None, None))
def conv4x4_up(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "4 4 in out"]
) -> Float[Array, "batch height2 width2 out"]:
    """Transposed 4x4 convolution with stride 2 and padding 1: DCGAN's doubling.

    Input position h scatters tap k to 2h + k - 1.
    """
    return convolve(x, kernel[::-1, ::-1], (2, 2), spread=2)


@multilinear(cpu.strided_conv3x3, (cpu.strided_images, cpu.strided_kernel))
def _strided_conv3x3(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "3 3 in out"]
) -> Float[Array, "batch half_height half_width out"]:
    """3x3 convolution, stride 2, no padding: (2H + 1, 2W + 1) -> (H, W)."""
    return convolve(x, kernel, (0, 0), stride=2)


def conv3x3_down(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "3 3 in out"]
) -> Float[Array, "batch half_height half_width out"]:
    """Blur (padding 2), then a 3x3 convolution with stride 2."""
    return _strided_conv3x3(blur(x, 2), kernel)


def conv1x1_down(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "in out"]
) -> Float[Array, "batch half_height half_width out"]:
    """Blur (padding 1), then a 1x1 convolution with stride 2."""
    return conv1x1(blur(x, 1)[:, ::2, ::2], kernel)
