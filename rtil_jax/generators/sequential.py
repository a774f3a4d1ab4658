"""A generator made of a list of modules: the shortest way to bring your own."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from rtil_jax.generators.chain import BlockChain


class SequentialGenerator(BlockChain):
    """A generator made of a list of modules, each of which is one block.

    Block 1 reads z; every later block reads the features of the block before. Latents
    are {"z": `(batch, latent_dim)`}, z ~ N(0, I). The features after the last block are
    the image.

    Attributes:
        blocks: `flax.linen` modules that map an array to an array.
        shapes: `(height, width, channels)` of the features after each block; the output
            of a block is reshaped to it. The last one is the shape of the images, which
            are square.
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

    def first(self, latents: dict) -> Array:
        return self._enter(latents["z"], 1)

    def advance(self, features: Array, latents: dict, block: int) -> Array:
        return self._enter(features, block + 1)

    def _enter(self, x: Any, block: int) -> Array:
        """Features after `block`."""
        return self.blocks[block - 1](x).reshape(-1, *self.shapes[block - 1])
