"""PGGAN (Karras et al. 2018) as a chain of blocks with open inputs.

The network is that of the public RTIL code, Table 2 of the paper with a second
convolution at 4 x 4: bilinear upsampling, and in every layer convolution, PixelNorm,
leaky ReLU in this order (the official PGGAN normalises last).

It grows: its first blocks with the to-RGB layer of their size are the same network at
a smaller resolution, `generator.clone(resolution=r)`, on the same variables. While a
block fades in, the variables have a collection {"growth": {"fade": alpha}} beside
their params, and the image is alpha times the new one plus 1 - alpha times the
enlarged one of half the size.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from rtil_jax.convolutions import conv3x3, upsample_bilinear
from rtil_jax.generators.features import SkipFeatures
from rtil_jax.generators.interface import Intermediates
from rtil_jax.layers import (
    LEAKY_SLOPE,
    Conv1x1,
    add_bias,
    pixel_norm,
    scaled_kernel,
)

GAIN = math.sqrt(2)
MIN_CHANNELS = 64  # Table 2 does not go below


def pggan_width(resolution: int, max_channels: int, channel_base: int) -> int:
    """Channels at `resolution`: 256 up to 32 pixels, 128 at 64, then 64 in Table 2."""
    return min(max_channels, max(MIN_CHANNELS, channel_base // resolution))


def normalized_leaky_relu(x: Array) -> Array:
    """PixelNorm, then leaky ReLU of slope 0.2."""
    return jax.nn.leaky_relu(pixel_norm(x), LEAKY_SLOPE)


class NormalizedConv(nn.Module):
    """3x3 convolution, bias, PixelNorm, leaky ReLU."""

    features: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width in"]
    ) -> Float[Array, "batch height width out"]:
        kernel = scaled_kernel(self, 3, x.shape[-1], self.features, GAIN)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return normalized_leaky_relu(add_bias(conv3x3(x, kernel), bias))


class ConvPair(nn.Module):
    """Two 3x3 convolutions of the same width; `up` doubles the size before them."""

    features: int
    up: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = upsample_bilinear(x) if self.up else x
        x = NormalizedConv(self.features, name="conv_0")(x)
        return NormalizedConv(self.features, name="conv_1")(x)


class CodeLayer(nn.Module):
    """z -> 4 x 4 features: a transposed convolution on a single pixel.

    Its constant is that of the public code, sqrt(2 / (16 features)), whose equalised
    learning rate counts the outputs; the PixelNorm after it hides the difference.
    """

    features: int

    @nn.compact
    def __call__(self, z: Float[Array, "batch latent"]) -> Float[Array, "batch 4 4 c"]:
        shape = (z.shape[-1], 4, 4, self.features)
        kernel = self.param("kernel", nn.initializers.normal(1.0), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        scale = GAIN / math.sqrt(16 * self.features)
        x = jnp.einsum("bi,ihwo->bhwo", z, kernel * scale)
        return normalized_leaky_relu(add_bias(x, bias))


class PGGANGenerator(nn.Module):
    """The PGGAN generator with intermediate inputs.

    Latents are {"z": `(batch, latent_dim)`}, z ~ N(0, I), not put on a sphere. Block k
    has resolution r = 2^(k + 1); only block 1 reads z, so a tail reads no latents.
    Features are arrays `(batch, r, r, width)`; those after the last block while it
    fades in are `SkipFeatures` with the enlarged image of half the size.

    Attributes:
        resolution: a power of two, at least 4.
        channels: image channels, 1 or 3. Images are nominally in [-1, 1], not clipped.
        max_channels: cap on the width of a block; 256 in the paper.
        channel_base: the width at resolution r is channel_base / r, within
            [64, max_channels]; 8,192 in the paper.
        latent_dim: size of z.
    """

    resolution: int
    channels: int = 3
    max_channels: int = 256
    channel_base: int = 8_192
    latent_dim: int = 512

    def setup(self):
        widths = [self.width(block) for block in range(1, self.num_blocks + 1)]
        self.code = CodeLayer(widths[0])
        self.blocks = [ConvPair(width, up=i > 0) for i, width in enumerate(widths)]
        self.to_rgbs = [Conv1x1(self.channels, GAIN) for _ in widths]

    @property
    def num_blocks(self) -> int:
        return int(math.log2(self.resolution)) - 1

    def width(self, block: int) -> int:
        """Channels of the features after `block`."""
        return pggan_width(2 ** (block + 1), self.max_channels, self.channel_base)

    def intermediate_shape(self, block: int) -> tuple[int, int, int]:
        """`(height, width, channels)` of the features after `block`."""
        return (2 ** (block + 1), 2 ** (block + 1), self.width(block))

    def sample_latents(self, key: jax.Array, batch: int) -> dict[str, Array]:
        """z ~ N(0, I)."""
        return {"z": jax.random.normal(key, (batch, self.latent_dim))}

    def _read_rgb(self, x: Array, block: int) -> Array:
        if self.is_initializing():  # heads of smaller sizes, read only while growing
            for smaller in range(1, block):
                self.to_rgbs[smaller - 1](jnp.zeros((1, 1, 1, self.width(smaller))))
        return self.to_rgbs[block - 1](x)

    def _advance(self, x: Array, block: int) -> Array | SkipFeatures:
        """Features after `block` -> features after `block` + 1."""
        after = self.blocks[block](x)
        fading = self.has_variable("growth", "fade")
        if not fading or block + 1 < self.num_blocks:
            return after
        return SkipFeatures(after, upsample_bilinear(self._read_rgb(x, block)))

    def head(
        self, latents: dict, block: int, intermediates: Intermediates | None = None
    ) -> Array | SkipFeatures:
        """g_0: features after `block`; `intermediates` perturb earlier blocks."""
        features = self.blocks[0](self.code(latents["z"]))
        for earlier in range(1, block):
            if intermediates and earlier in intermediates:
                features = features + intermediates[earlier]
            features = self._advance(features, earlier)
        return features

    def tail(
        self, features: Array | SkipFeatures, latents: dict, block: int
    ) -> Float[Array, "batch height width channels"]:
        """g_1: the image from the features after `block`."""
        for later in range(block, self.num_blocks):
            features = self._advance(features, later)
        if not isinstance(features, SkipFeatures):
            return self._read_rgb(features, self.num_blocks)
        fade = self.get_variable("growth", "fade")
        new = self._read_rgb(features.activations, self.num_blocks)
        return fade * new + (1 - fade) * features.rgb

    def __call__(
        self, latents: dict, intermediates: Intermediates | None = None
    ) -> Float[Array, "batch height width channels"]:
        """G~(z_0, z_1, ..., z_K); G(z_0) without `intermediates`."""
        last = self.num_blocks
        features = self.head(latents, last, intermediates)
        if intermediates and last in intermediates:
            features = features + intermediates[last]
        return self.tail(features, latents, last)
