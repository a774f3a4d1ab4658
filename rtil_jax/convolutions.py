"""The convolutions of StyleGAN2 and PGGAN, in the form that XLA runs fastest.

Everything here is a pure function of `(batch, height, width, channels)` arrays and
`(height, width, in, out)` kernels. `tests/slow_stylegan2.py` holds the textbook forms
(zero insertion, explicit FIR filters) that these are tested against.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# The [1, 3, 3, 1] filter with which StyleGAN2 blurs whatever it resamples, sum 1.
BLUR_TAPS = (1 / 8, 3 / 8, 3 / 8, 1 / 8)


def _plain_conv3x3(x: Array, kernel: Array) -> Array:
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@jax.custom_vjp
def conv3x3(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "3 3 in out"]
) -> Float[Array, "batch height width out"]:
    """3x3 convolution, stride 1, zero padding 1.

    The gradient with respect to `x` is written as what it is, a convolution with the
    flipped, transposed kernel: XLA:CPU is several times slower when it has to find
    that out by itself (jax#12868). Differentiable twice in reverse mode.
    """
    return _plain_conv3x3(x, kernel)


def _conv3x3_forward(x, kernel):
    return conv3x3(x, kernel), (x, kernel)


def _conv3x3_backward(saved, gradient):
    x, kernel = saved
    transposed = kernel[::-1, ::-1].swapaxes(2, 3)
    _, kernel_vjp = jax.vjp(lambda k: _plain_conv3x3(x, k), kernel)
    return conv3x3(gradient, transposed), kernel_vjp(gradient)[0]


conv3x3.defvjp(_conv3x3_forward, _conv3x3_backward)


def conv1x1(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "in out"]
) -> Float[Array, "batch height width out"]:
    """1x1 convolution as a matrix product (its weight gradient stays one)."""
    return jnp.einsum("bhwi,io->bhwo", x, kernel)


def _pad(x: Array, axis: int, before: int, after: int) -> Array:
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, after)
    return jnp.pad(x, widths)


def _interleave(even: Array, odd: Array, axis: int) -> Array:
    """even_0, odd_0, even_1, odd_1, ... along `axis`."""
    shape = list(even.shape)
    shape[axis] *= 2
    return jnp.stack([even, odd], axis + 1).reshape(shape)


def _phases(x: Array, kernel: Array) -> tuple[tuple[Array, Array], ...]:
    """Stride-2 transposed convolution, rows and columns of equal parity together.

    Tap k of position h lands on position 2h + k of a line of length 2H + 1: the H + 1
    even positions collect taps 0 and 2, the H odd ones tap 1. So each phase is a small
    convolution at the *input* resolution, and no zero is multiplied.
    """
    even, odd = (slice(None, None, -2), (1, 1)), (slice(1, 2), (0, 0))

    def phase(rows, columns):
        taps, padding = kernel[rows[0], columns[0]], (rows[1], columns[1])
        return jax.lax.conv_general_dilated(
            x, taps, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    # One tap is a matrix product, which is faster as such.
    return (phase(even, even), phase(even, odd)), (phase(odd, even), x @ kernel[1, 1])


def _blur_phases(even: Array, odd: Array, axis: int) -> Array:
    """[1, 3, 3, 1] / 4 with padding 1 over a line in the phases of `_phases`.

    Taken phase by phase, so that only the result, of length 2H, is interleaved.
    """
    size = odd.shape[axis]
    odd = _pad(odd, axis, 1, 1)

    def part(x, start):
        return jax.lax.slice_in_dim(x, start, start + size, axis=axis)

    out_even = part(odd, 0) + 3 * part(even, 0) + 3 * part(odd, 1) + part(even, 1)
    out_odd = part(even, 0) + 3 * part(odd, 1) + 3 * part(even, 1) + part(odd, 2)
    return _interleave(out_even / 4, out_odd / 4, axis)


@jax.custom_vjp
def conv3x3_up(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "3 3 in out"]
) -> Float[Array, "batch height2 width2 out"]:
    """Transposed 3x3 convolution with stride 2, then the [1, 3, 3, 1] blur.

    Input position h scatters tap k to 2h + k, as `conv_transpose2d` does in the
    public code; the blur (sum 4, padding 1) trims the result to twice the size. The
    adjoint is `conv3x3_down`, and written as such: what XLA:CPU derives from the
    phases takes several times as long. Differentiable twice in reverse mode.
    """
    (even_even, even_odd), (odd_even, odd_odd) = _phases(x, kernel)
    even = _blur_phases(even_even, even_odd, axis=2)
    odd = _blur_phases(odd_even, odd_odd, axis=2)
    return _blur_phases(even, odd, axis=1)


def _up_forward(x, kernel):
    return conv3x3_up(x, kernel), (x, kernel)


def _up_backward(saved, gradient):
    x, kernel = saved
    blurred = 4 * blur(gradient, 2)
    x_gradient = _strided_conv3x3(blurred, kernel.swapaxes(2, 3))
    kernel_gradient = jnp.einsum("bhwi,bhwo->io", x, _strided_views(blurred))
    shape = kernel.shape[2], 3, 3, kernel.shape[3]
    return x_gradient, kernel_gradient.reshape(shape).transpose(1, 2, 0, 3)


conv3x3_up.defvjp(_up_forward, _up_backward)


def conv4x4_up(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "4 4 in out"]
) -> Float[Array, "batch height2 width2 out"]:
    """Transposed 4x4 convolution with stride 2 and padding 1: DCGAN's doubling.

    Input position h scatters tap k to 2h + k - 1, so even positions collect taps 1 and
    3, odd ones taps 2 and 0. All 16 taps are one matrix product at the *input*
    resolution, whose gradient XLA:CPU finds by itself.
    """
    channels, out = kernel.shape[2:]
    matrix = kernel.transpose(2, 0, 1, 3).reshape(channels, 16 * out)
    taps = (x @ matrix).reshape(*x.shape[:3], 4, 4, out)
    for axis in (1, 2):
        size = taps.shape[axis]
        tap0, tap1, tap2, tap3 = (taps[:, :, :, k] for k in range(4))
        before = jax.lax.slice_in_dim(_pad(tap3, axis, 1, 0), 0, size, axis=axis)
        after = jax.lax.slice_in_dim(_pad(tap0, axis, 0, 1), 1, size + 1, axis=axis)
        taps = _interleave(tap1 + before, tap2 + after, axis)
    return taps


def _transposed_conv3x3(x: Array, kernel: Array) -> Array:
    """Stride-2 transposed convolution: (H, W) -> (2H + 1, 2W + 1)."""

    def join(even, odd, axis):
        longer = _interleave(even, _pad(odd, axis, 0, 1), axis)
        return jax.lax.slice_in_dim(longer, 0, longer.shape[axis] - 1, axis=axis)

    even, odd = (join(*rows, axis=2) for rows in _phases(x, kernel))
    return join(even, odd, axis=1)


def _strided_views(x: Array) -> Array:
    """The nine stride-2 views of x, side by side: (2H + 1, 2W + 1) -> (H, W)."""
    height, width = x.shape[1] - 2, x.shape[2] - 2
    views = [
        x[:, row : row + height : 2, column : column + width : 2]
        for row in range(3)
        for column in range(3)
    ]
    return jnp.concatenate(views, axis=-1)


@jax.custom_vjp
def _strided_conv3x3(x: Array, kernel: Array) -> Array:
    """3x3 convolution, stride 2, no padding, with its adjoint written out."""
    return _strided_views(x) @ kernel.reshape(-1, kernel.shape[-1])


def _strided_forward(x, kernel):
    return _strided_conv3x3(x, kernel), (x, kernel)


def _strided_backward(saved, gradient):
    x, kernel = saved
    kernel_gradient = jnp.einsum("bhwi,bhwo->io", _strided_views(x), gradient)
    x_gradient = _transposed_conv3x3(gradient, kernel.swapaxes(2, 3))
    return x_gradient, kernel_gradient.reshape(kernel.shape)


_strided_conv3x3.defvjp(_strided_forward, _strided_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _double(x: Array, border: str) -> Array:
    """Each pixel and its two neighbours at 1/4, 3/4; `border` is a mode of jnp.pad."""
    for axis in (1, 2):
        size, widths = x.shape[axis], [(0, 0)] * x.ndim
        widths[axis] = (1, 1)
        padded = jnp.pad(x, widths, mode=border)
        before = jax.lax.slice_in_dim(padded, 0, size, axis=axis)
        after = jax.lax.slice_in_dim(padded, 2, size + 2, axis=axis)
        x = _interleave((before + 3 * x) / 4, (3 * x + after) / 4, axis)
    return x


def _double_backward(border, _, gradient):
    """Written out: XLA:CPU takes twenty times as long to undo the interleaving."""
    for axis in (2, 1):
        size, shape = gradient.shape[axis] // 2, gradient.shape
        pairs = gradient.reshape(*shape[:axis], size, 2, *shape[axis + 1 :])
        even, odd = (jax.lax.index_in_dim(pairs, k, axis + 1, False) for k in (0, 1))
        first = jax.lax.slice_in_dim(even, 0, 1, axis=axis)
        last = jax.lax.slice_in_dim(odd, size - 1, size, axis=axis)
        after = jax.lax.slice_in_dim(even, 1, size, axis=axis)
        before = jax.lax.slice_in_dim(odd, 0, size - 1, axis=axis)
        neighbours = _pad(after, axis, 0, 1) + _pad(before, axis, 1, 0)
        if border == "edge":
            neighbours += _pad(first, axis, 0, size - 1) + _pad(last, axis, size - 1, 0)
        gradient = (3 * (even + odd) + neighbours) / 4
    return (gradient,)


_double.defvjp(lambda x, border: (_double(x, border), None), _double_backward)


def upsample(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch height2 width2 channels"]:
    """Doubling of the RGB skip: zero insertion, then [1, 3, 3, 1] / 4, padding (2, 1).

    Away from the border this is bilinear interpolation.
    """
    return _double(x, "constant")


def upsample_bilinear(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch height2 width2 channels"]:
    """Bilinear interpolation to twice the size, the border continued."""
    return _double(x, "edge")


def average_pool(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch half_height half_width channels"]:
    """Means of 2 x 2 pixels: bilinear interpolation to half the size."""
    batch, height, width, channels = x.shape
    pairs = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return jnp.mean(pairs, axis=(2, 4))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def blur(
    x: Float[Array, "batch height width channels"], padding: int
) -> Float[Array, "batch height2 width2 channels"]:
    """[1, 3, 3, 1] / 8 along both axes after zero padding; the size grows by
    2 * padding - 3. Shifted adds: a depthwise convolution is far slower on XLA:CPU.
    """
    for axis in (1, 2):
        x = _pad(x, axis, padding, padding)
        size = x.shape[axis] - 3
        shifted = [
            tap * jax.lax.slice_in_dim(x, k, k + size, axis=axis)
            for k, tap in enumerate(BLUR_TAPS)
        ]
        x = functools.reduce(jnp.add, shifted)
    return x


# The taps are symmetric: the adjoint is the blur that restores the size.
blur.defvjp(
    lambda x, padding: (blur(x, padding), None),
    lambda padding, _, gradient: (blur(gradient, 3 - padding),),
)


def conv3x3_down(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "3 3 in out"]
) -> Float[Array, "batch half_height half_width out"]:
    """Blur (padding 2), then a 3x3 convolution with stride 2."""
    return _strided_conv3x3(blur(x, padding=2), kernel)


def conv1x1_down(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "in out"]
) -> Float[Array, "batch half_height half_width out"]:
    """Blur (padding 1), then a 1x1 convolution with stride 2."""
    return conv1x1(blur(x, padding=1)[:, ::2, ::2], kernel)
