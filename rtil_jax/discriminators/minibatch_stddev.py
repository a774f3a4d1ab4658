"""The minibatch-stddev channel of Karras et al. (2018), to prevent mode collapse."""

import jax.numpy as jnp
from jaxtyping import Array, Float

STDDEV_GROUP = 4


def stddev_group_size(batch: int, largest: int = STDDEV_GROUP) -> int:
    """Returns the largest divisor of `batch` that is at most `largest`."""
    sizes = range(min(largest, batch), 0, -1)
    return next(size for size in sizes if batch % size == 0)


def minibatch_stddev(
    x: Float[Array, "batch height width channels"], largest: int = STDDEV_GROUP
) -> Float[Array, "batch height width more_channels"]:
    """Appends a channel with the mean standard deviation over the images of a group.

    A group is `stddev_group_size(batch, largest)` *consecutive* images, so that it
    never straddles devices, and a training family can draw one member per group. (The
    public code takes strided images for StyleGAN2, and the whole batch for PGGAN.)
    """
    batch, height, width, channels = x.shape
    size = stddev_group_size(batch, largest)
    groups = x.reshape(batch // size, size, height, width, channels)
    stddev = jnp.sqrt(jnp.var(groups, axis=1) + 1e-8)
    mean = jnp.mean(stddev, axis=(1, 2, 3)).repeat(size)
    extra = jnp.broadcast_to(mean.reshape(-1, 1, 1, 1), (batch, height, width, 1))
    return jnp.concatenate([x, extra], axis=-1)
