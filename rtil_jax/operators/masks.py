"""Draws masks of measurements, and multiplies arrays by them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def scale(weights: Array, x: Array) -> Array:
    """Returns weights * x; all leading axes of x share the weights."""
    return jnp.broadcast_to(weights, x.shape) * x


def random_mask(key: jax.Array, size: int, count: int) -> Float[Array, " size"]:
    """Draws a mask with ones at random places.

    Masks with different counts are nested, because ranks do not depend on the count.

    Args:
        key: the PRNG key of the places.
        size: number of entries.
        count: number of ones; the entries with the lowest random ranks.
    """
    ranks = jax.random.permutation(key, size)
    return (ranks < count).astype(jnp.float32)
