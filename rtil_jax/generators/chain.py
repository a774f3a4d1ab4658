"""What generators have in common whose block k has 2^(k + 1) pixels."""

import math
from typing import Any

from flax import linen as nn
from jaxtyping import Array, Float

from rtil_jax.generators.interface import Intermediates


class BlockChain(nn.Module):
    """Cuts and perturbations for a network that says how to take one block.

    A subclass has `resolution`, `width(block)`, `_first(latents)`, the features after
    block 1, `_advance(features, latents, block)`, from those after `block` to those
    after the next, and `tail`.
    """

    @property
    def num_blocks(self) -> int:
        return int(math.log2(self.resolution)) - 1

    def intermediate_shape(self, block: int) -> tuple[int, int, int]:
        """`(height, width, channels)` of the features after `block`."""
        return (2 ** (block + 1), 2 ** (block + 1), self.width(block))

    def head(
        self, latents: dict, block: int, intermediates: Intermediates | None = None
    ) -> Any:
        """g_0: features after `block`; `intermediates` perturb earlier blocks."""
        features = self._first(latents)
        for earlier in range(1, block):
            if intermediates and earlier in intermediates:
                features = features + intermediates[earlier]
            features = self._advance(features, latents, earlier)
        return features

    def __call__(
        self, latents: dict, intermediates: Intermediates | None = None
    ) -> Float[Array, "batch height width channels"]:
        """G~(z_0, z_1, ..., z_K); G(z_0) without `intermediates`."""
        last = self.num_blocks
        features = self.head(latents, last, intermediates)
        if intermediates and last in intermediates:
            features = features + intermediates[last]
        return self.tail(features, latents, last)
