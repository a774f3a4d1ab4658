"""Layers with an equalised learning rate, shared by generators and discriminators.

Every weight is stored with unit variance and multiplied by a constant like He's at run
time (Karras et al. 2018, Section 4.1), so that one learning rate suits all layers.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from rtil_jax.activations import keep
from rtil_jax.convolutions import conv1x1, conv3x3

LEAKY_SLOPE = 0.2
GAIN = math.sqrt(2)  # gain of a leaky ReLU
MIN_CHANNELS = 64  # the fewest channels in Table 2 of the paper


def scaled_leaky_relu(x: Array) -> Array:
    """Leaky ReLU with slope 0.2, times sqrt(2) to keep the variance."""
    # XLA:CPU would move a product outside of `where` into sums over x, and expand its
    # constant to an array as large as x.
    return jnp.where(x >= 0, GAIN * x, LEAKY_SLOPE * GAIN * x)


def pixel_norm(x: Float[Array, "*batch channels"]) -> Float[Array, "*batch channels"]:
    """Returns x / sqrt(mean over channels of x^2 + 1e-8)."""
    return x * jax.lax.rsqrt(jnp.mean(x**2, axis=-1, keepdims=True) + 1e-8)


def add_bias(x: Array, bias: Array) -> Array:
    """Adds a bias along the last axis, without implicit rank promotion."""
    return x + bias.reshape((1,) * (x.ndim - 1) + bias.shape)


class Dense(nn.Module):
    """A dense layer, y = x (W s) + b m with s = m gain / sqrt(fan in).

    Attributes:
        features: size of the output.
        rate_multiplier: m, a factor of the learning rate; 0.01 for the mapping network.
        bias_init: initial value of b.
        gain: gain of the activation that follows, sqrt(2) in PGGAN.
    """

    features: int
    rate_multiplier: float = 1.0
    bias_init: float = 0.0
    gain: float = 1.0

    @nn.compact
    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
        stddev = 1 / self.rate_multiplier
        shape = (x.shape[-1], self.features)
        init, constant = nn.initializers.normal(stddev), nn.initializers.constant
        kernel = self.param("kernel", init, shape, jnp.float32)
        bias = self.param("bias", constant(self.bias_init), shape[-1:], jnp.float32)
        scale = self.gain * self.rate_multiplier / math.sqrt(x.shape[-1])
        return add_bias(x @ (kernel * scale), bias * self.rate_multiplier)


def raw_kernel(
    module: nn.Module, size: int, fan_in: int, out: int, gain: float = 1.0
) -> tuple[Array, float]:
    """Declares a kernel; returns it and its constant, gain / sqrt(fan_in size^2).

    Args:
        module: the module that owns the kernel.
        size: height and width of the kernel.
        fan_in: number of input channels.
        out: number of output channels.
        gain: gain of the activation that follows.

    Returns:
        The kernel `(size, size, fan_in, out)`, and the constant to multiply it by.
    """
    shape = (size, size, fan_in, out)
    kernel = module.param("kernel", nn.initializers.normal(1.0), shape, jnp.float32)
    return kernel, gain / math.sqrt(fan_in * size**2)


def scaled_kernel(
    module: nn.Module, size: int, fan_in: int, out: int, gain: float = 1.0
) -> Array:
    """Declares a kernel; returns it multiplied by its constant.

    Args:
        module: the module that owns the kernel.
        size: height and width of the kernel.
        fan_in: number of input channels.
        out: number of output channels.
        gain: gain of the activation that follows.
    """
    kernel, constant = raw_kernel(module, size, fan_in, out, gain)
    return kernel * constant


class Conv1x1(nn.Module):
    """1x1 convolution and bias without activation, from pixels to features or back.

    Attributes:
        features: channels of the result, which is float32.
        gain: of the kernel.
        dtype: of the two factors of each product.
    """

    features: int
    gain: float = 1.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width in"]
    ) -> Float[Array, "batch height width out"]:
        kernel = scaled_kernel(self, 1, x.shape[-1], self.features, self.gain)[0, 0]
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        y = conv1x1(x.astype(self.dtype), kernel.astype(self.dtype), jnp.float32)
        return add_bias(y, bias)


def stylegan2_width(resolution: int, max_channels: int, channel_base: int) -> int:
    """Returns StyleGAN2's channels at a resolution r: channel_base / r up to a maximum.

    Args:
        resolution: r, height and width of the features.
        max_channels: the most channels.
        channel_base: channels times resolution.
    """
    return min(max_channels, channel_base // resolution)


def pggan_width(resolution: int, max_channels: int, channel_base: int) -> int:
    """Returns PGGAN's channels at a resolution: channel_base / r within limits.

    In Table 2 of the paper these are 256 up to 32 pixels, 128 at 64, and then 64.

    Args:
        resolution: r, height and width of the features.
        max_channels: the most channels; the fewest are 64.
        channel_base: channels times resolution.
    """
    fitting = stylegan2_width(resolution, max_channels, channel_base)
    return min(max_channels, max(MIN_CHANNELS, fitting))


def normalized_leaky_relu(x: Array) -> Array:
    """PixelNorm, then leaky ReLU with slope 0.2."""
    return jax.nn.leaky_relu(pixel_norm(x), LEAKY_SLOPE)


class NormalizedConv(nn.Module):
    """3x3 convolution, bias, PixelNorm, leaky ReLU; activations are of `dtype`."""

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width in"]
    ) -> Float[Array, "batch height width out"]:
        kernel = scaled_kernel(self, 3, x.shape[-1], self.features, GAIN)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        y = conv3x3(x.astype(self.dtype), kernel.astype(self.dtype))
        return keep(normalized_leaky_relu(add_bias(y, bias)), self.dtype)
