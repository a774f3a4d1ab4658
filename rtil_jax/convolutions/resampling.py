"""Blurs images, doubles and halves their size, in the same way on every platform.

The transposes that XLA:CPU derives by itself are too slow, so `blur` and the doublings
have theirs written out.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rtil_jax.convolutions.multilinear import multilinear

# The [1, 3, 3, 1] filter with which StyleGAN2 blurs whatever it resamples, sum 1.
BLUR_TAPS = (1 / 8, 3 / 8, 3 / 8, 1 / 8)


def pad(x: Array, axis: int, before: int, after: int, mode: str = "constant") -> Array:
    """Pads one axis of an array.

    Args:
        x: any array.
        axis: which axis to pad.
        before: number of positions added before the first one.
        after: number of positions added after the last one.
        mode: of `jnp.pad`; zeros by default.
    """
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, after)
    return jnp.pad(x, widths, mode=mode)


def interleave(even: Array, odd: Array, axis: int) -> Array:
    """Returns even_0, odd_0, even_1, odd_1, ... along one axis.

    Args:
        even: what comes at positions 0, 2, ...
        odd: what comes at positions 1, 3, ...; the same shape.
        axis: which axis becomes twice as long.
    """
    shape = list(even.shape)
    shape[axis] *= 2
    return jnp.stack([even, odd], axis + 1).reshape(shape)


def _blur_transpose(y: Array, padding: int) -> Array:
    """Restores the size. Because the taps are symmetric, it is a blur too."""
    return blur(y, 3 - padding)


@multilinear(adjoints=(_blur_transpose,))
def blur(
    x: Float[Array, "batch height width channels"], padding: int
) -> Float[Array, "batch height2 width2 channels"]:
    """Blurs with [1, 3, 3, 1] / 8 along both axes after zero padding.

    The size grows by 2 * padding - 3. It adds shifted images, because a depthwise
    convolution is far slower.
    """
    for axis in (1, 2):
        x = pad(x, axis, padding, padding)
        size = x.shape[axis] - 3
        shifted = [
            tap * jax.lax.slice_in_dim(x, k, k + size, axis=axis)
            for k, tap in enumerate(BLUR_TAPS)
        ]
        x = functools.reduce(jnp.add, shifted)
    return x


def _double_transpose(y: Array, border: str) -> Array:
    """Written out: XLA:CPU takes twenty times as long to undo the interleaving."""
    for axis in (2, 1):
        size, shape = y.shape[axis] // 2, y.shape
        pairs = y.reshape(*shape[:axis], size, 2, *shape[axis + 1 :])
        even, odd = (jax.lax.index_in_dim(pairs, k, axis + 1, False) for k in (0, 1))
        first = jax.lax.slice_in_dim(even, 0, 1, axis=axis)
        last = jax.lax.slice_in_dim(odd, size - 1, size, axis=axis)
        after = jax.lax.slice_in_dim(even, 1, size, axis=axis)
        before = jax.lax.slice_in_dim(odd, 0, size - 1, axis=axis)
        neighbours = pad(after, axis, 0, 1) + pad(before, axis, 1, 0)
        if border == "edge":
            neighbours += pad(first, axis, 0, size - 1) + pad(last, axis, size - 1, 0)
        y = (3 * (even + odd) + neighbours) / 4
    return y


@multilinear(adjoints=(_double_transpose,))
def _double(
    x: Float[Array, "batch height width channels"], border: str
) -> Float[Array, "batch height2 width2 channels"]:
    """Each pixel and its two neighbours at 1/4, 3/4; `border` is a mode of jnp.pad."""
    for axis in (1, 2):
        size, padded = x.shape[axis], pad(x, axis, 1, 1, border)
        before = jax.lax.slice_in_dim(padded, 0, size, axis=axis)
        after = jax.lax.slice_in_dim(padded, 2, size + 2, axis=axis)
        x = interleave((before + 3 * x) / 4, (3 * x + after) / 4, axis)
    return x


def upsample(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch height2 width2 channels"]:
    """Doubles the size as StyleGAN2 does with its RGB skip.

    It inserts zeros, then filters with [1, 3, 3, 1] / 4 and padding (2, 1). Away from
    the border this is bilinear interpolation.
    """
    return _double(x, "constant")


def upsample_bilinear(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch height2 width2 channels"]:
    """Interpolates bilinearly to twice the size; the border pixels are repeated."""
    return _double(x, "edge")


def average_pool(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch half_height half_width channels"]:
    """Halves the size by averaging 2 x 2 pixels, as bilinear interpolation does."""
    batch, height, width, channels = x.shape
    pairs = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return jnp.mean(pairs, axis=(2, 4))
