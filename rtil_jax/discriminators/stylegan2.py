"""The residual StyleGAN2 discriminator (Karras et al. 2020)."""

import math

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from rtil_jax.convolutions import conv1x1, conv1x1_down, conv3x3, conv3x3_down
from rtil_jax.layers import Dense, add_bias, scaled_kernel, scaled_leaky_relu

STDDEV_GROUP = 4


def stddev_group_size(batch: int) -> int:
    """The largest divisor of `batch` that is at most 4."""
    return max(size for size in range(1, STDDEV_GROUP + 1) if batch % size == 0)


def minibatch_stddev(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch height width more_channels"]:
    """Appends a channel with each group's mean standard deviation over its images.

    A group is `stddev_group_size(batch)` *consecutive* images (the public code takes
    strided ones): then a group never straddles devices, and a training family can
    draw one member per group.
    """
    batch, height, width, channels = x.shape
    size = stddev_group_size(batch)
    groups = x.reshape(batch // size, size, height, width, channels)
    stddev = jnp.sqrt(jnp.var(groups, axis=1) + 1e-8)
    mean = jnp.mean(stddev, axis=(1, 2, 3)).repeat(size)
    extra = jnp.broadcast_to(mean.reshape(-1, 1, 1, 1), (batch, height, width, 1))
    return jnp.concatenate([x, extra], axis=-1)


class Conv(nn.Module):
    """3x3 convolution, bias, scaled leaky ReLU; `down` halves the size before it."""

    features: int
    down: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = scaled_kernel(self, 3, x.shape[-1], self.features)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        convolve = conv3x3_down if self.down else conv3x3
        return scaled_leaky_relu(add_bias(convolve(x, kernel), bias))


class FromRGB(nn.Module):
    """1x1 convolution, bias, scaled leaky ReLU."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = scaled_kernel(self, 1, x.shape[-1], self.features)[0, 0]
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return scaled_leaky_relu(add_bias(conv1x1(x, kernel), bias))


class ResidualBlock(nn.Module):
    """(conv3x3 -> conv3x3 down) + (conv1x1 down), over sqrt(2)."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        y = Conv(x.shape[-1], name="conv")(x)
        y = Conv(self.features, down=True, name="conv_down")(y)
        return (y + Skip(self.features, name="skip")(x)) / math.sqrt(2)


class Skip(nn.Module):
    """1x1 convolution with stride 2, without bias."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = scaled_kernel(self, 1, x.shape[-1], self.features)[0, 0]
        return conv1x1_down(x, kernel)


class StyleGAN2Discriminator(nn.Module):
    """Images `(batch, resolution, resolution, channels)` in [-1, 1] -> logits.

    Attributes:
        max_channels: cap on the width; 256 in the paper.
        channel_base: the width at resolution r is min(max_channels, channel_base / r).
    """

    max_channels: int = 256
    channel_base: int = 16_384

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, " batch"]:
        def width(resolution):
            return min(self.max_channels, self.channel_base // resolution)

        x = FromRGB(width(images.shape[1]))(images)
        while x.shape[1] > 4:
            x = ResidualBlock(width(x.shape[1] // 2))(x)
        x = Conv(width(4))(minibatch_stddev(x))
        x = scaled_leaky_relu(Dense(width(4))(x.reshape(x.shape[0], -1)))
        return Dense(1)(x)[:, 0]
