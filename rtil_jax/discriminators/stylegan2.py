"""The residual StyleGAN2 discriminator (Karras et al. 2020)."""

import math
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from rtil_jax.activations import dtype_at, keep
from rtil_jax.convolutions import conv1x1, conv1x1_down, conv3x3, conv3x3_down
from rtil_jax.discriminators.minibatch_stddev import minibatch_stddev
from rtil_jax.layers import (
    Dense,
    add_bias,
    scaled_kernel,
    scaled_leaky_relu,
    stylegan2_width,
)


class Conv(nn.Module):
    """3x3 convolution, bias, scaled leaky ReLU; `down` halves the size first."""

    features: int
    down: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = scaled_kernel(self, 3, x.shape[-1], self.features)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        convolve = conv3x3_down if self.down else conv3x3
        y = convolve(x.astype(self.dtype), kernel.astype(self.dtype))
        return keep(scaled_leaky_relu(add_bias(y, bias)), self.dtype)


class FromRGB(nn.Module):
    """1x1 convolution in float32, bias, scaled leaky ReLU."""

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = scaled_kernel(self, 1, x.shape[-1], self.features)[0, 0]
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        y = scaled_leaky_relu(add_bias(conv1x1(x, kernel), bias))
        return keep(y, self.dtype)


class ResidualBlock(nn.Module):
    """(conv3x3 -> conv3x3 down) + (conv1x1 down), over sqrt(2)."""

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x, features = x.astype(self.dtype), self.features
        y = Conv(x.shape[-1], dtype=self.dtype, name="conv")(x)
        y = Conv(features, down=True, dtype=self.dtype, name="conv_down")(y)
        y = y.astype(jnp.float32) + Skip(features, name="skip")(x)
        return keep(y / math.sqrt(2), self.dtype)


class Skip(nn.Module):
    """1x1 convolution with stride 2, without bias."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = scaled_kernel(self, 1, x.shape[-1], self.features)[0, 0]
        return conv1x1_down(x, kernel.astype(x.dtype))


class StyleGAN2Discriminator(nn.Module):
    """Maps images `(batch, resolution, resolution, channels)` in [-1, 1] to logits.

    Attributes:
        max_channels: the most channels of a block; 256 in the paper.
        channel_base: a block of resolution r has min(max_channels, channel_base / r)
            channels.
        widths: channels at 4, 8, ... pixels; () computes them from the two fields
            above.
        precision: `float32` or `bfloat16`, see `rtil_jax.activations`.
    """

    max_channels: int = 256
    channel_base: int = 16_384
    widths: tuple[int, ...] = ()
    precision: str = "float32"

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, " batch"]:
        def width(resolution: int) -> int:
            if self.widths:
                return self.widths[int(math.log2(resolution)) - 2]
            return stylegan2_width(resolution, self.max_channels, self.channel_base)

        size = images.shape[1]
        x = FromRGB(width(size), dtype_at(self.precision, size))(images)
        while (size := x.shape[1]) > 4:
            x = ResidualBlock(width(size // 2), dtype_at(self.precision, size))(x)
        x = Conv(width(4))(minibatch_stddev(x))
        x = scaled_leaky_relu(Dense(width(4))(x.reshape(x.shape[0], -1)))
        return Dense(1)(x)[:, 0]
