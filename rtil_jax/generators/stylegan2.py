"""StyleGAN2 (Karras et al. 2020) as a chain of blocks with open inputs.

The synthesis network is that of the public RTIL code: skip architecture, [1, 3, 3, 1]
resampling, per-pixel noise. With `max_channels=256` it is the network of the paper's
Table 1, which has 10,206,434 parameters (the table prints another number, an artefact
of the tool that counted).
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from rtil_jax.activations import dtype_at, keep
from rtil_jax.convolutions import conv3x3, conv3x3_up, upsample
from rtil_jax.generators.chain import DoublingChain
from rtil_jax.generators.features import SkipFeatures
from rtil_jax.layers import (
    Dense,
    add_bias,
    pixel_norm,
    raw_kernel,
    scaled_leaky_relu,
    stylegan2_width,
)


class ModulatedConv(nn.Module):
    """A modulated (and demodulated) convolution that scales activations, not kernels.

    It equals a convolution with the per-sample kernel W s_i d_o, where
    d_o = rsqrt(sum over i, k of (W s_i)^2 + 1e-8), but never forms that kernel:
    scaling channels commutes with convolving.

    What is multiplied by the kernel, and the kernel, are of `dtype`; the rest is
    float32.
    """

    features: int
    size: int = 3
    up: bool = False
    demodulate: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch height width in"],
        style: Float[Array, "batch style"],
    ) -> Float[Array, "batch height2 width2 out"]:
        channels = x.shape[-1]
        scale = Dense(channels, bias_init=1.0, name="modulation")(style)
        # The constant of the kernel goes with the style, which has fewer numbers.
        kernel, constant = raw_kernel(self, self.size, channels, self.features)
        scale = scale * constant
        if self.size == 1:  # RGB has few channels: the per-sample kernel is tiny
            own = jnp.einsum("io,bi->iob", kernel[0, 0], scale).astype(self.dtype)
            return jnp.einsum(
                "bhwi,iob->bhwo",
                x.astype(self.dtype),
                own,
                preferred_element_type=jnp.float32,
            )
        convolve = conv3x3_up if self.up else conv3x3
        scaled = (x * scale[:, None, None, :]).astype(self.dtype)
        y = convolve(scaled, kernel.astype(self.dtype))
        if not self.demodulate:
            return y
        # Tap by tap: XLA:CPU is slow to reduce leading axes.
        squares = sum(tap**2 for row in kernel for tap in row)
        power = scale**2 @ squares
        return y * jax.lax.rsqrt(power + 1e-8)[:, None, None, :]


class StyledConv(nn.Module):
    """Modulated convolution, noise, bias, scaled leaky ReLU."""

    features: int
    up: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, style: Array, noise: Array) -> Array:
        convolve = ModulatedConv(
            self.features, up=self.up, dtype=self.dtype, name="conv"
        )
        x = convolve(x, style)
        strength = self.param("noise_strength", nn.initializers.zeros, (), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        x = scaled_leaky_relu(add_bias(x + strength * noise, bias))
        return keep(x, self.dtype)


class ToRGB(nn.Module):
    """1x1 modulated convolution without demodulation, plus bias; no activation."""

    channels: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, style: Array) -> Array:
        convolve = ModulatedConv(
            self.channels, size=1, demodulate=False, dtype=self.dtype, name="conv"
        )
        bias = self.param("bias", nn.initializers.zeros, (self.channels,), jnp.float32)
        return add_bias(convolve(x, style), bias)


class MappingNetwork(nn.Module):
    """Maps z to w: PixelNorm, then dense layers with 1/100 of the learning rate."""

    layers: int

    @nn.compact
    def __call__(
        self, z: Float[Array, "*batch latent"]
    ) -> Float[Array, "*batch latent"]:
        w = pixel_norm(z)
        for _ in range(self.layers):
            w = scaled_leaky_relu(Dense(z.shape[-1], rate_multiplier=0.01)(w))
        return w


class StyleGAN2Generator(DoublingChain):
    """The StyleGAN2 generator with intermediate inputs.

    Latents are a dict: `styles` `(batch, 2 * num_blocks, latent_dim)`, the w of each
    layer ("w+"), and `noises`, a tuple of `(batch, r, r, 1)` maps, one per 3x3
    convolution. Block k has resolution r = 2^(k + 1). It reads styles 2k - 3
    (up-convolution), 2k - 2 (convolution) and 2k - 1 (RGB, shared with the next
    block), so `head` and `tail` read disjoint latents wherever the chain is cut.

    Attributes:
        resolution: a power of two, at least 8.
        channels: image channels, 1 or 3. Images are nominally in [-1, 1], not clipped.
        max_channels: the most channels that a block has; 256 in the paper.
        channel_base: a block of resolution r has min(max_channels, channel_base / r)
            channels.
        widths: channels of every block; () computes them from the two fields above.
        latent_dim: size of z and w.
        mapping_layers: depth of the mapping network.
        style_mixing: probability that the styles of an image come from two z, split at
            a random layer. Training sets it; 0 samples G itself.
        precision: `float32` or `bfloat16`, see `rtil_jax.activations`.
    """

    resolution: int
    channels: int = 3
    max_channels: int = 256
    channel_base: int = 16_384
    widths: tuple[int, ...] = ()
    latent_dim: int = 512
    mapping_layers: int = 8
    style_mixing: float = 0.0
    precision: str = "float32"

    def setup(self) -> None:
        self.mapping = MappingNetwork(self.mapping_layers)
        shape = self.intermediate_shape(1)
        init = nn.initializers.normal(1.0)
        self.constant = self.param("constant", init, (1, *shape), jnp.float32)
        blocks = range(1, self.num_blocks + 1)
        dtypes = [dtype_at(self.precision, 2 ** (block + 1)) for block in blocks]
        made = [(self.width(block), dtypes[block - 1]) for block in blocks]
        self.up_convs = [StyledConv(w, up=True, dtype=dtype) for w, dtype in made[1:]]
        self.convs = [StyledConv(width, dtype=dtype) for width, dtype in made]
        self.to_rgbs = [ToRGB(self.channels, dtype) for dtype in dtypes]

    def width(self, block: int) -> int:
        """Channels of the features after `block`."""
        if self.widths:
            return self.widths[block - 1]
        return stylegan2_width(2 ** (block + 1), self.max_channels, self.channel_base)

    def map_styles(
        self, z: Float[Array, "batch latent"]
    ) -> Float[Array, "batch layers latent"]:
        """Maps z to w and returns the same w for every layer."""
        return self._for_every_layer(self.mapping(z))

    def _for_every_layer(self, w: Array) -> Array:
        return jnp.repeat(w[:, None], 2 * self.num_blocks, axis=1)

    def sample_latents(self, key: jax.Array, batch: int) -> dict[str, Any]:
        """Draws styles from z ~ N(0, I) (mixed if `style_mixing`) and noise maps."""
        z_key, noise_key, mix_key, cut_key = jax.random.split(key, 4)
        if self.style_mixing:
            # Two axes, not one of 2 * batch: both z of an image are on its device.
            z = jax.random.normal(z_key, (2 * batch, self.latent_dim), jnp.float32)
            w = self.mapping(z.reshape(2, batch, self.latent_dim))
            first, second = map(self._for_every_layer, w)
            layers = 2 * self.num_blocks
            cut = jax.random.randint(cut_key, (batch, 1, 1), 1, layers, jnp.int32)
            chance = np.float32(self.style_mixing)
            mixed = jax.random.bernoulli(mix_key, chance, (batch, 1, 1))
            take_second = mixed & (jnp.arange(layers).reshape(1, -1, 1) >= cut)
            styles = jnp.where(take_second, second, first)
        else:
            z = jax.random.normal(z_key, (batch, self.latent_dim), jnp.float32)
            styles = self.map_styles(z)
        return {"styles": styles, "noises": self.sample_noises(noise_key, batch)}

    def sample_noises(self, key: jax.Array, batch: int) -> tuple[Array, ...]:
        """Draws noise maps ~ N(0, I): one for block 1, two for each later block."""
        sizes = [2 ** (i // 2 + 2) for i in range(1, 2 * self.num_blocks)]
        # One draw, cut up: each separate one takes XLA:CPU nearly a second to compile.
        ends = np.cumsum([size**2 for size in sizes])
        drawn = jax.random.normal(key, (batch, int(ends[-1])), jnp.float32)
        maps = jnp.split(drawn, ends[:-1], axis=1)
        return tuple(
            noise.reshape(batch, size, size, 1)
            for noise, size in zip(maps, sizes, strict=True)
        )

    def first(self, latents: dict) -> SkipFeatures:
        batch = latents["styles"].shape[0]
        constant = jnp.repeat(self.constant, batch, axis=0)
        rgb = jnp.zeros((*constant.shape[:3], self.channels), constant.dtype)
        return self._enter(SkipFeatures(constant, rgb), latents, 1)

    def _enter(self, features: SkipFeatures, latents: dict, block: int) -> SkipFeatures:
        """Takes the features after `block` - 1 to those after `block`."""
        styles, noises = latents["styles"], latents["noises"]
        x = features.activations
        if block > 1:
            style, noise = styles[:, 2 * block - 3], noises[2 * block - 3]
            x = self.up_convs[block - 2](x, style, noise)
        style, noise = styles[:, 2 * block - 2], noises[2 * block - 2]
        activations = self.convs[block - 1](x, style, noise)
        return dataclasses.replace(features, activations=activations)

    def _read_rgb(self, features: SkipFeatures, latents: dict, block: int) -> Array:
        """The image so far, at the size of `block`."""
        style = latents["styles"][:, 2 * block - 1]
        return features.rgb + self.to_rgbs[block - 1](features.activations, style)

    def advance(
        self, features: SkipFeatures, latents: dict, block: int
    ) -> SkipFeatures:
        if features.rgb is None:
            batch, height, width, _ = features.activations.shape
            shape = batch, 2 * height, 2 * width, self.channels
            rgb = jnp.zeros(shape, features.activations.dtype)
        else:
            rgb = upsample(self._read_rgb(features, latents, block))
        features = dataclasses.replace(features, rgb=rgb)
        return self._enter(features, latents, block + 1)

    def to_image(self, features: SkipFeatures, latents: dict) -> Array:
        return self._read_rgb(features, latents, self.num_blocks)
