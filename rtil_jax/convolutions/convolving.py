"""One call to JAX's convolution, with the axes in the order that this library uses."""

import jax
from jaxtyping import Array, Float


def convolve(
    x: Float[Array, "batch height width in"],
    kernel: Float[Array, "rows columns in out"],
    padding: tuple[int, int],
    padding_across: tuple[int, int] | None = None,
    stride: int = 1,
    spread: int = 1,
) -> Float[Array, "batch height2 width2 out"]:
    """Returns y[p, q] = sum over r, s of x'[stride p + r, stride q + s] kernel[r, s].

    x' is x with zeros inserted between its pixels and around it.

    Args:
        x: `(batch, height, width, in)`.
        kernel: `(rows, columns, in, out)`.
        padding: numbers of zero rows above and below x.
        padding_across: numbers of zero columns left and right of x; None for the same
            as `padding`.
        stride: of the result, in both directions, at least 1.
        spread: inserts `spread` - 1 zeros between neighbouring pixels of x.
    """
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=(padding, padding_across or padding),
        lhs_dilation=(spread, spread),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
