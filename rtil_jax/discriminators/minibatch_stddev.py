"""The minibatch-stddev channel of Karras et al. (2018), against mode collapse."""

import jax.numpy as jnp
from jaxtyping import Array, Float

STDDEV_GROUP = 4


def stddev_group_size(batch: int, largest: int = STDDEV_GROUP) -> int:
    """The largest divisor of `batch` that is at most `largest`."""
    sizes = range(min(largest, batch), 0, -1)
    return next(size for size in sizes if batch % size == 0)


def minibatch_stddev(
    x: Float[Array, "batch height width channels"], largest: int = STDDEV_GROUP
) -> Float[Array, "batch height width more_channels"]:
    """Appends a channel with each group's mean standard deviation over its images.

    A group is `stddev_group_size(batch, largest)` *consecutive* images (the public
    code takes strided ones for StyleGAN2, the whole batch for PGGAN): then a group
    never straddles devices, and a training family can draw one member per group.
    """
    batch, height, width, channels = x.shape
    size = stddev_group_size(batch, largest)
    groups = x.reshape(batch // size, size, height, width, channels)
    stddev = jnp.sqrt(jnp.var(groups, axis=1) + 1e-8)
    mean = jnp.mean(stddev, axis=(1, 2, 3)).repeat(size)
    extra = jnp.broadcast_to(mean.reshape(-1, 1, 1, 1), (batch, height, width, 1))
    return jnp.concatenate([x, extra], axis=-1)
