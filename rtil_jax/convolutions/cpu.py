"""Convolutions and their adjoints in the forms that XLA:CPU runs fastest.

A function f(x, kernel) has two adjoints, the derivatives of <f(x, kernel), y>: one with
respect to the images x, computed from (kernel, y), and one with respect to the kernel,
from (x, y). What XLA:CPU derives for them by itself takes several times as long.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from rtil_jax.convolutions.convolving import convolve
from rtil_jax.convolutions.resampling import blur, interleave, pad

# Of a kernel along one axis, and the padding of their convolution.
Taps = tuple[slice, tuple[int, int]]


def conv3x3_images(kernel: Array, y: Array) -> Array:
    """The adjoint of `conv3x3`: a convolution with the flipped, transposed kernel.

    XLA:CPU is several times slower when it derives this form itself (jax#12868).
    """
    return convolve(y, kernel[::-1, ::-1].swapaxes(2, 3), (1, 1))


def _phases(x: Array, kernel: Array) -> tuple[tuple[Array, Array], ...]:
    """Stride-2 transposed convolution, rows and columns of equal parity together.

    Tap k of position h lands on position 2h + k of a line of length 2H + 1: the H + 1
    even positions collect taps 0 and 2, the H odd ones tap 1. So each phase is a small
    convolution at the *input* resolution, and no zero is multiplied.
    """
    even, odd = (slice(None, None, -2), (1, 1)), (slice(1, 2), (0, 0))

    def phase(rows: Taps, columns: Taps) -> Array:
        return convolve(x, kernel[rows[0], columns[0]], rows[1], columns[1])

    # One tap is a matrix product, which is faster as such.
    return (phase(even, even), phase(even, odd)), (phase(odd, even), x @ kernel[1, 1])


def _blur_phases(even: Array, odd: Array, axis: int) -> Array:
    """[1, 3, 3, 1] / 4 with padding 1 over a line in the phases of `_phases`.

    Taken phase by phase, so that only the result, of length 2H, is interleaved.
    """
    size = odd.shape[axis]
    odd = pad(odd, axis, 1, 1)

    def part(x: Array, start: int) -> Array:
        return jax.lax.slice_in_dim(x, start, start + size, axis=axis)

    out_even = part(odd, 0) + 3 * part(even, 0) + 3 * part(odd, 1) + part(even, 1)
    out_odd = part(even, 0) + 3 * part(odd, 1) + 3 * part(even, 1) + part(odd, 2)
    return interleave(out_even / 4, out_odd / 4, axis)


def conv3x3_up(x: Array, kernel: Array) -> Array:
    """Four phases, blurred before they are interleaved."""
    (even_even, even_odd), (odd_even, odd_odd) = _phases(x, kernel)
    even = _blur_phases(even_even, even_odd, axis=2)
    odd = _blur_phases(odd_even, odd_odd, axis=2)
    return _blur_phases(even, odd, axis=1)


def conv3x3_up_images(kernel: Array, y: Array) -> Array:
    """The adjoint of scattering is gathering, that of the blur a blur."""
    return strided_conv3x3(4 * blur(y, 2), kernel.swapaxes(2, 3))


def conv3x3_up_kernel(x: Array, y: Array) -> Array:
    """One matrix product for all nine taps."""
    gradient = jnp.einsum("bhwi,bhwo->io", x, _strided_views(4 * blur(y, 2)))
    return gradient.reshape(x.shape[-1], 3, 3, y.shape[-1]).transpose(1, 2, 0, 3)


def conv4x4_up(x: Array, kernel: Array) -> Array:
    """All 16 taps in one matrix product at the *input* resolution.

    Even positions collect taps 1 and 3, odd ones taps 2 and 0. XLA:CPU derives the
    adjoints well enough by itself.
    """
    channels, out = kernel.shape[2:]
    matrix = kernel.transpose(2, 0, 1, 3).reshape(channels, 16 * out)
    taps = (x @ matrix).reshape(*x.shape[:3], 4, 4, out)
    for axis in (1, 2):
        size = taps.shape[axis]
        tap0, tap1, tap2, tap3 = (taps[:, :, :, k] for k in range(4))
        before = jax.lax.slice_in_dim(pad(tap3, axis, 1, 0), 0, size, axis=axis)
        after = jax.lax.slice_in_dim(pad(tap0, axis, 0, 1), 1, size + 1, axis=axis)
        taps = interleave(tap1 + before, tap2 + after, axis)
    return taps


def _strided_views(x: Array) -> Array:
    """The nine stride-2 views of x, side by side: (2H + 1, 2W + 1) -> (H, W)."""
    height, width = x.shape[1] - 2, x.shape[2] - 2
    views = [
        x[:, row : row + height : 2, column : column + width : 2]
        for row in range(3)
        for column in range(3)
    ]
    return jnp.concatenate(views, axis=-1)


def strided_conv3x3(x: Array, kernel: Array) -> Array:
    """One matrix product for all nine taps."""
    return _strided_views(x) @ kernel.reshape(-1, kernel.shape[-1])


def strided_images(kernel: Array, y: Array) -> Array:
    """A transposed convolution: the phases of y, interleaved."""

    def join(even: Array, odd: Array, axis: int) -> Array:
        longer = interleave(even, pad(odd, axis, 0, 1), axis)
        return jax.lax.slice_in_dim(longer, 0, longer.shape[axis] - 1, axis=axis)

    even, odd = (join(*rows, axis=2) for rows in _phases(y, kernel.swapaxes(2, 3)))
    return join(even, odd, axis=1)


def strided_kernel(x: Array, y: Array) -> Array:
    """One matrix product for all nine taps."""
    gradient = jnp.einsum("bhwi,bhwo->io", _strided_views(x), y)
    return gradient.reshape(3, 3, x.shape[-1], y.shape[-1])
