"""A generator made of modules that you have: the shortest way to bring your own."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from rtil_jax.generators.interface import Intermediates


class SequentialGenerator(nn.Module):
    """Block 1 reads z, every later block the features of the one before.

    Latents are {"z": `(batch, latent_dim)`}, z ~ N(0, I). The features after the last
    block are the image.

    Attributes:
        blocks: `flax.linen` modules, arrays to arrays.
        shapes: `(height, width, channels)` of the features after each block, as which
            its output is read; the last is that of the images, which are square.
        latent_dim: size of z.
    """

    blocks: tuple[Callable, ...]
    shapes: tuple[tuple[int, int, int], ...]
    latent_dim: int

    @property
    def resolution(self) -> int:
        return self.shapes[-1][0]

    @property
    def channels(self) -> int:
        return self.shapes[-1][-1]

    @property
    def num_blocks(self) -> int:
        return len(self.blocks)

    def sample_latents(self, key: jax.Array, batch: int) -> dict[str, Array]:
        """z ~ N(0, I)."""
        return {"z": jax.random.normal(key, (batch, self.latent_dim), jnp.float32)}

    def intermediate_shape(self, block: int) -> tuple[int, int, int]:
        """`(height, width, channels)` of the features after `block`."""
        return self.shapes[block - 1]

    def head(
        self, latents: dict, block: int, intermediates: Intermediates | None = None
    ) -> Float[Array, "batch height width channels"]:
        """g_0: features after `block`; `intermediates` perturb earlier blocks."""
        x = self._enter(latents["z"], 1)
        for earlier in range(1, block):
            if intermediates and earlier in intermediates:
                x = x + intermediates[earlier]
            x = self._enter(x, earlier + 1)
        return x

    def tail(
        self, features: Array, latents: dict, block: int
    ) -> Float[Array, "batch height width channels"]:
        """g_1: the image from the features after `block`."""
        for later in range(block + 1, self.num_blocks + 1):
            features = self._enter(features, later)
        return features

    def __call__(
        self, latents: dict, intermediates: Intermediates | None = None
    ) -> Float[Array, "batch height width channels"]:
        image = self.head(latents, self.num_blocks, intermediates)
        if intermediates and self.num_blocks in intermediates:
            image = image + intermediates[self.num_blocks]
        return image

    def _enter(self, x: Any, block: int) -> Array:
        """Features after `block`."""
        return self.blocks[block - 1](x).reshape(-1, *self.shapes[block - 1])
