"""What training asks of a discriminator."""

from typing import Any, Protocol, runtime_checkable

import jax


@runtime_checkable
class Discriminator(Protocol):
    """A `flax.linen.Module` from images in [-1, 1] to one number each."""

    def init(self, rngs: jax.Array, *args: Any) -> Any:
        """Its variables, drawn from a key; `args` are the images."""

    def apply(self, variables: dict, *args: Any) -> Any:
        """The logits or scores of the images, `(batch,)`."""
