"""The layers of the PGGAN that its authors released, which mGANprior inverts.

PixelNorm comes before each layer, also before the first one and the to-RGB layer, and
the leaky ReLU after it. Upsampling repeats pixels. Block 1 is a dense layer and one
convolution.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from rtil_jax.activations import keep
from rtil_jax.convolutions import conv1x1, conv3x3
from rtil_jax.layers import GAIN, LEAKY_SLOPE, add_bias, pixel_norm, scaled_kernel


def upsample_nearest(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch height2 width2 channels"]:
    """Doubles the size by repeating every pixel four times."""
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


class OfficialCode(nn.Module):
    """z -> 4 x 4 features: PixelNorm, dense layer, leaky ReLU.

    The constant, sqrt(2 / (16 latent_dim)), is that of the public PyTorch weights,
    which write the layer as a 4 x 4 convolution of one pixel.
    """

    features: int

    @nn.compact
    def __call__(self, z: Float[Array, "batch latent"]) -> Float[Array, "batch 4 4 c"]:
        shape = (z.shape[-1], 4, 4, self.features)
        kernel = self.param("kernel", nn.initializers.normal(1.0), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        scale = GAIN / math.sqrt(16 * z.shape[-1])
        x = jnp.einsum("bi,ihwo->bhwo", pixel_norm(z), kernel * scale)
        return jax.nn.leaky_relu(add_bias(x, bias), LEAKY_SLOPE)


class OfficialConv(nn.Module):
    """PixelNorm, doubling if `up`, 3x3 convolution, bias, leaky ReLU."""

    features: int
    up: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = pixel_norm(x.astype(jnp.float32)).astype(self.dtype)
        x = upsample_nearest(x) if self.up else x
        kernel = scaled_kernel(self, 3, x.shape[-1], self.features, GAIN)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        y = add_bias(conv3x3(x, kernel.astype(self.dtype)), bias)
        return keep(jax.nn.leaky_relu(y, LEAKY_SLOPE), self.dtype)


class OfficialBlock(nn.Module):
    """Two convolutions at twice the size; without `up`, one convolution."""

    features: int
    up: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        if self.up:
            x = OfficialConv(self.features, True, self.dtype, name="conv_0")(x)
        return OfficialConv(self.features, dtype=self.dtype, name="conv_1")(x)


class OfficialToRGB(nn.Module):
    """PixelNorm, 1x1 convolution with gain 1, bias: float32 of factors of `dtype`."""

    channels: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = scaled_kernel(self, 1, x.shape[-1], self.channels)[0, 0]
        bias = self.param("bias", nn.initializers.zeros, (self.channels,), jnp.float32)
        x = pixel_norm(x.astype(jnp.float32)).astype(self.dtype)
        y = conv1x1(x, kernel.astype(self.dtype), jnp.float32)
        return add_bias(y, bias)
