"""DCGAN (Radford et al. 2016) as a chain of blocks with open inputs.

Transposed 4 x 4 convolutions and ReLU, then tanh. Batch normalisation, which a trained
generator applies with constant statistics, is folded into kernels and biases: the
network is for inversion, not for training.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from rtil_jax.convolutions import conv4x4_up
from rtil_jax.generators.chain import DoublingChain
from rtil_jax.layers import add_bias


class DoublingConv(nn.Module):
    """Transposed 4x4 convolution with stride 2 and padding 1, plus bias."""

    features: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width in"]
    ) -> Float[Array, "batch height2 width2 out"]:
        # Each pixel of the result sees 2 x 2 of the taps.
        init = nn.initializers.normal(math.sqrt(2 / (4 * x.shape[-1])))
        kernel = self.param(
            "kernel", init, (4, 4, x.shape[-1], self.features), jnp.float32
        )
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return add_bias(conv4x4_up(x, kernel), bias)


class CodeConv(nn.Module):
    """z -> 4 x 4 features: a transposed convolution on a single pixel, plus bias."""

    features: int

    @nn.compact
    def __call__(self, z: Float[Array, "batch latent"]) -> Float[Array, "batch 4 4 c"]:
        init = nn.initializers.normal(math.sqrt(2 / z.shape[-1]))
        kernel = self.param(
            "kernel", init, (4, 4, z.shape[-1], self.features), jnp.float32
        )
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return add_bias(jnp.einsum("bi,hwio->bhwo", z, kernel), bias)


class DCGANGenerator(DoublingChain):
    """The DCGAN generator with intermediate inputs.

    Latents are {"z": `(batch, latent_dim)`}, z ~ N(0, I). Block k has resolution
    r = 2^(k + 1); only block 1 reads z, so a tail reads no latents. Features are
    arrays `(batch, r, r, width)` after the ReLU; those of the last block are the image
    before tanh.

    Attributes:
        resolution: a power of two, at least 8.
        channels: image channels, 1 or 3. Images are in [-1, 1].
        base_channels: channels of the second-last block; each earlier block has twice
            as many.
        latent_dim: size of z.
    """

    resolution: int
    channels: int = 3
    base_channels: int = 64
    latent_dim: int = 100

    def setup(self) -> None:
        self.code = CodeConv(self.width(1))
        self.convs = [
            DoublingConv(self.width(block)) for block in range(2, self.num_blocks + 1)
        ]

    def width(self, block: int) -> int:
        """Channels of the features after `block`."""
        if block == self.num_blocks:
            return self.channels
        return self.base_channels * 2 ** (self.num_blocks - 1 - block)

    def sample_latents(self, key: jax.Array, batch: int) -> dict[str, Array]:
        """z ~ N(0, I)."""
        return {"z": jax.random.normal(key, (batch, self.latent_dim), jnp.float32)}

    def first(self, latents: dict) -> Array:
        return nn.relu(self.code(latents["z"]))

    def advance(self, features: Array, latents: dict, block: int) -> Array:
        after = self.convs[block - 1](features)
        return after if block + 1 == self.num_blocks else nn.relu(after)

    def to_image(self, features: Array, latents: dict) -> Array:
        return jnp.tanh(features)
