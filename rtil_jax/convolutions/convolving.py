"""JAX's convolution in this library's order of axes."""

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
    """y[p, q] = sum over r, s of x'[stride p + r, stride q + s] kernel[r, s].

    x' is x with `spread` - 1 zeros between its pixels and `padding` zeros above and
    below; left and right as many, or `padding_across`.
    """
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=(padding, padding_across or padding),
        lhs_dilation=(spread, spread),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
