"""The interface of a discriminator: the methods that training calls."""

from typing import Any, Protocol, runtime_checkable

import jax


@runtime_checkable
class Discriminator(Protocol):
    """A `flax.linen.Module` that returns one number for each image in [-1, 1]."""

    def init(self, rngs: jax.Array, *args: Any) -> Any:
        """Draws its variables from a key; `args` are the images."""

    def apply(self, variables: dict, *args: Any) -> Any:
        """Returns the logits or scores of the images, `(batch,)`."""
