"""Base classes of generators: they add cuts and intermediate inputs to your blocks."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from rtil_jax.generators.interface import Features, Intermediates, Latents


class BlockChain(nn.Module):
    """A generator made of blocks. The subclass runs a block; this class cuts the chain.

    A subclass defines the attributes, `sample_latents` and `intermediate_shape` of
    `rtil_jax.generators.Generator`, and these methods:

        first(latents): returns the features after block 1;
        advance(features, latents, block): takes the features after `block` and returns
            those after the next one;
        to_image(features, latents): returns the image from the features after the last
            block. By default these features are the image.
    """

    def first(self, latents: Latents) -> Features:
        raise NotImplementedError

    def advance(self, features: Features, latents: Latents, block: int) -> Features:
        """Takes the features after `block` and returns those after `block` + 1.

        Args:
            features: after `block`, `(batch, height, width, channels)` or a tree.
            latents: z_0, which a block may read.
            block: the last block that has run, counted from 1.
        """
        raise NotImplementedError

    def to_image(self, features: Features, latents: Latents) -> Array:
        return features

    def head(
        self, latents: Latents, block: int, intermediates: Intermediates | None = None
    ) -> Features:
        """Returns g_0, the features after `block`; see `Generator.head`.

        Args:
            latents: z_0, from `sample_latents`.
            block: where to cut, counted from 1.
            intermediates: perturbations `{k: z_k}` of blocks before `block`.
        """
        start = self.first(latents)
        features = self._run(start, latents, 1, block, intermediates or {})
        return jax.tree.map(_float32, features)

    def tail(
        self, features: Features, latents: Latents, block: int
    ) -> Float[Array, "batch height width channels"]:
        """Returns g_1, the image from the features after `block`; see `Generator.tail`.

        Args:
            features: after `block`, from `head`.
            latents: z_0, which later blocks may read.
            block: where `head` cut the chain, counted from 1.
        """
        features = self._run(features, latents, block, self.num_blocks, {})
        return self.to_image(features, latents)

    def __call__(
        self, latents: Latents, intermediates: Intermediates | None = None
    ) -> Float[Array, "batch height width channels"]:
        """Returns G~(z_0, z_1, ..., z_K), or G(z_0) without `intermediates`."""
        last = self.num_blocks
        features = self.head(latents, last, intermediates)
        if intermediates and last in intermediates:
            features = features + intermediates[last]
        return self.to_image(features, latents)

    def _run(
        self,
        features: Features,
        latents: Latents,
        start: int,
        end: int,
        intermediates: Intermediates,
    ) -> Features:
        """Takes the features after block `start` to those after block `end`."""
        for block in range(start, end):
            if block in intermediates:
                features = features + intermediates[block]
            features = self.advance(features, latents, block)
        return features


def _float32(x: Array) -> Array:
    """Activations that are kept in bfloat16, as z_k is added to them."""
    return x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x


class DoublingChain(BlockChain):
    """A chain whose features have 2^(k + 1) x 2^(k + 1) pixels after block k.

    A subclass defines `resolution` and `width(block)`; this class computes `num_blocks`
    and `intermediate_shape` from them.
    """

    @property
    def num_blocks(self) -> int:
        return int(math.log2(self.resolution)) - 1

    def intermediate_shape(self, block: int) -> tuple[int, int, int]:
        """`(height, width, channels)` of the features after `block`."""
        return (2 ** (block + 1), 2 ** (block + 1), self.width(block))
