"""PGGAN (Karras et al. 2018) as a chain of blocks with open inputs.

The default is the network of the public RTIL code: Table 2 of the paper with a second
convolution at 4 x 4. It upsamples bilinearly, and every layer applies convolution,
PixelNorm and leaky ReLU in this order. `layout="official"` is the network of the
original authors instead (see `official_pggan`).

The network can grow. Its first blocks and the to-RGB layer of their size are the same
network at a smaller resolution, `generator.clone(resolution=r)`, with the same
variables. While a block fades in, the variables also hold {"growth": {"fade": alpha}},
and the image is alpha times the new one plus 1 - alpha times the enlarged image of half
the size.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from rtil_jax.activations import dtype_at
from rtil_jax.convolutions import upsample_bilinear
from rtil_jax.generators.chain import DoublingChain
from rtil_jax.generators.features import SkipFeatures
from rtil_jax.generators.interface import Features
from rtil_jax.generators.official_pggan import (
    OfficialBlock,
    OfficialCode,
    OfficialToRGB,
    upsample_nearest,
)
from rtil_jax.layers import (
    GAIN,
    Conv1x1,
    NormalizedConv,
    add_bias,
    normalized_leaky_relu,
    pggan_width,
)


class ConvPair(nn.Module):
    """Two 3x3 convolutions with equally many channels; `up` doubles the size first."""

    features: int
    up: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = x.astype(self.dtype)
        x = upsample_bilinear(x) if self.up else x
        x = NormalizedConv(self.features, self.dtype, name="conv_0")(x)
        return NormalizedConv(self.features, self.dtype, name="conv_1")(x)


class CodeLayer(nn.Module):
    """z -> 4 x 4 features: a transposed convolution on a single pixel.

    The public code scales its kernel by sqrt(2 / (16 features)), counting outputs where
    inputs are meant, and so does this layer. The PixelNorm after it hides the
    difference.
    """

    features: int

    @nn.compact
    def __call__(self, z: Float[Array, "batch latent"]) -> Float[Array, "batch 4 4 c"]:
        shape = (z.shape[-1], 4, 4, self.features)
        kernel = self.param("kernel", nn.initializers.normal(1.0), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        scale = GAIN / math.sqrt(16 * self.features)
        x = jnp.einsum("bi,ihwo->bhwo", z, kernel * scale)
        return normalized_leaky_relu(add_bias(x, bias))


class PGGANGenerator(DoublingChain):
    """The PGGAN generator with intermediate inputs.

    Latents are {"z": `(batch, latent_dim)`}, z ~ N(0, I), not normalised to a sphere.
    Block k has resolution r = 2^(k + 1); only block 1 reads z, so `tail` reads no
    latents. Features are arrays `(batch, r, r, width)`. While the last block fades in,
    its features are `SkipFeatures` with the enlarged image of half the size.

    Attributes:
        resolution: a power of two, at least 4.
        channels: image channels, 1 or 3. Images are nominally in [-1, 1], not clipped.
        max_channels: the most channels that a block has; 256 in the paper.
        channel_base: a block of resolution r has channel_base / r channels, clipped to
            [64, max_channels]; 8,192 in the paper.
        widths: channels of every block; () computes them from the two fields above.
        latent_dim: size of z.
        layout: `rtil` or `official`.
        precision: `float32` or `bfloat16`, see `rtil_jax.activations`.
    """

    resolution: int
    channels: int = 3
    max_channels: int = 256
    channel_base: int = 8_192
    widths: tuple[int, ...] = ()
    latent_dim: int = 512
    layout: Literal["rtil", "official"] = "rtil"
    precision: str = "float32"

    def setup(self) -> None:
        self.code: Callable[[Array], Array]
        self.blocks: list[Callable[[Array], Array]]
        self.to_rgbs: list[Callable[[Array], Array]]
        blocks = range(1, self.num_blocks + 1)
        dtypes = [dtype_at(self.precision, 2 ** (block + 1)) for block in blocks]
        made = [(self.width(k), k > 1, dtypes[k - 1]) for k in blocks]
        if self.layout == "official":
            self.code = OfficialCode(self.width(1))
            self.blocks = [OfficialBlock(*block) for block in made]
            self.to_rgbs = [OfficialToRGB(self.channels, dtype) for dtype in dtypes]
            self.enlarge = upsample_nearest
        else:
            self.code = CodeLayer(self.width(1))
            self.blocks = [ConvPair(*block) for block in made]
            self.to_rgbs = [Conv1x1(self.channels, GAIN, dtype) for dtype in dtypes]
            self.enlarge = upsample_bilinear

    def width(self, block: int) -> int:
        """Channels of the features after `block`."""
        if self.widths:
            return self.widths[block - 1]
        return pggan_width(2 ** (block + 1), self.max_channels, self.channel_base)

    def sample_latents(self, key: jax.Array, batch: int) -> dict[str, Array]:
        """z ~ N(0, I)."""
        return {"z": jax.random.normal(key, (batch, self.latent_dim), jnp.float32)}

    def first(self, latents: dict) -> Array:
        return self.blocks[0](self.code(latents["z"]))

    def _read_rgb(self, x: Array, block: int) -> Array:
        if self.is_initializing():  # heads of smaller sizes, read only while growing
            for smaller in range(1, block):
                self.to_rgbs[smaller - 1](
                    jnp.zeros((1, 1, 1, self.width(smaller)), jnp.float32)
                )
        return self.to_rgbs[block - 1](x)

    def advance(
        self, features: Array, latents: dict, block: int
    ) -> Array | SkipFeatures:
        after = self.blocks[block](features)
        fading = self.has_variable("growth", "fade")
        if not fading or block + 1 < self.num_blocks:
            return after
        return SkipFeatures(after, self.enlarge(self._read_rgb(features, block)))

    def to_image(self, features: Features, latents: dict) -> Array:
        if not isinstance(features, SkipFeatures):
            return self._read_rgb(features, self.num_blocks)
        fade: Array = self.get_variable("growth", "fade")
        new = self._read_rgb(features.activations, self.num_blocks)
        return fade * new + (1 - fade) * features.rgb
