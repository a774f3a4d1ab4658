"""Masks of measurements: how they are drawn, and how they weigh an array."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def scale(weights: Array, x: Array) -> Array:
    """weights * x; the weights are shared by the leading axes that only x has."""
    return jnp.broadcast_to(weights, x.shape) * x


def random_mask(key: jax.Array, size: int, count: int) -> Float[Array, " size"]:
    """`count` ones in random places: the entries whose random rank is below it.

    The ranks do not depend on `count`, hence the nested masks.
    """
    ranks = jax.random.permutation(key, size)
    return (ranks < count).astype(jnp.float32)
