"""The layouts of RTIL's PGGAN, and of the official PGGAN in mGANprior's form.

RTIL's files store weights before the factor of the equalised learning rate
(`weight_orig`). The two generators are different networks (see
`rtil_jax.generators.pggan`).
"""

import numpy as np

from rtil_jax.convert.layouts import Layout, Row, Shapes, Size, Tensors, axis, count
from rtil_jax.convert.transforms import (
    CODE,
    FLIPPED_CODE,
    KERNEL,
    KERNEL_TO_MATRIX,
    MATRIX,
    SAME,
    Transform,
)


def _equalized(
    key: str,
    path: tuple[str, ...],
    shape: tuple[int, ...],
    out: int,
    transform: Transform = KERNEL,
) -> list[Row]:
    return [
        Row(f"{key}.weight_orig", shape, (*path, "kernel"), transform),
        Row(f"{key}.bias", (out,), (*path, "bias"), SAME),
    ]


def _generator_size(shapes: Shapes) -> Size:
    widths: list[int] = []
    size = 4
    while not widths or f"to_rgb_{size}.conv.weight_orig" in shapes:
        key = f"progression_{size}.conv.0.conv.weight_orig"
        widths.append(axis(shapes, key, 0, widths[-1] if widths else 1))
        size *= 2
    return Size(
        channels=axis(shapes, "to_rgb_4.conv.weight_orig", 0, 3),
        widths=tuple(widths),
        latent_dim=axis(shapes, "input_layer.0.conv.weight_orig", 0),
    )


def _generator_rows(size: Size) -> list[Row]:
    first = size.widths[0]
    shape = (size.latent_dim, first, 4, 4)
    rows = _equalized("input_layer.0.conv", ("code",), shape, first, CODE)
    for block, (before, after) in enumerate(_steps(size.widths)):
        for layer, fan_in in enumerate((before, after)):
            key = f"progression_{2 ** (block + 2)}.conv.{3 * layer}.conv"
            path = (f"blocks_{block}", f"conv_{layer}")
            rows += _equalized(key, path, (after, fan_in, 3, 3), after)
    for block, width in enumerate(size.widths):
        key, shape = f"to_rgb_{2 ** (block + 2)}.conv", (size.channels, width, 1, 1)
        rows += _equalized(key, (f"to_rgbs_{block}",), shape, size.channels)
    return rows


def _steps(widths: tuple[int, ...]) -> list[tuple[int, int]]:
    """Returns the widths before and after each block; they are equal for block 1."""
    return list(zip(widths[:1] + widths, widths, strict=False))


def _discriminator_size(shapes: Shapes) -> Size:
    blocks = max(count(shapes, "from_rgb.{}.conv.weight_orig"), 1)
    keys = [f"from_rgb.{block}.conv.weight_orig" for block in range(blocks)]
    widths = tuple(axis(shapes, key, 0) for key in reversed(keys))
    return Size(axis(shapes, keys[0], 1, 3), widths)


def _discriminator_rows(size: Size) -> list[Row]:
    """Returns the rows; block 0 reads the full resolution, the last 4 x 4 pixels."""
    rows, widths = [], size.widths[::-1]
    for block, (before, after) in enumerate(zip(widths, widths[1:], strict=False)):
        for layer, fan_in in enumerate((before, after)):
            key = f"progression.{block}.conv.{3 * layer}.conv"
            path = (f"block_{size.resolution >> block}_conv_{layer}",)
            rows += _equalized(key, path, (after, fan_in, 3, 3), after)
    last, key = widths[-1], f"progression.{len(widths) - 1}.conv"
    shape = (last, last + 1, 3, 3)  # the last channel is that of minibatch-stddev
    rows += _equalized(f"{key}.0.conv", ("block_4_conv_0",), shape, last)
    shape = (last, last, 4, 4)
    dense = f"{key}.3.conv", ("block_4_dense",), shape, last, KERNEL_TO_MATRIX
    rows += _equalized(*dense)
    for block, width in enumerate(widths):
        path = (f"from_rgb_{size.resolution >> block}",)
        shape = (width, size.channels, 1, 1)
        rows += _equalized(f"from_rgb.{block}.conv", path, shape, width)
    return rows + _equalized("linear.linear", ("score",), (1, last), 1, MATRIX)


def _official_size(shapes: Shapes) -> Size:
    blocks = max(count(shapes, "output{}.conv.weight"), 1)
    keys = [f"output{block}.conv.weight" for block in range(blocks)]
    return Size(
        channels=axis(shapes, keys[-1], 0, 3),
        widths=tuple(axis(shapes, key, 1) for key in keys),
        latent_dim=axis(shapes, "layer0.conv.weight", 1),
    )


def _official_rows(size: Size) -> list[Row]:
    def layer(
        key: str,
        path: tuple[str, ...],
        shape: tuple[int, ...],
        transform: Transform = KERNEL,
    ) -> list[Row]:
        return [
            Row(f"{key}.conv.weight", shape, (*path, "kernel"), transform),
            Row(f"{key}.wscale.bias", shape[:1], (*path, "bias"), SAME),
        ]

    first = size.widths[0]
    rows = layer("layer0", ("code",), (first, size.latent_dim, 4, 4), FLIPPED_CODE)
    for block, (before, after) in enumerate(_steps(size.widths)):
        for conv, fan_in in enumerate((before, after)):
            if block or conv:  # the dense layer is the first one at 4 x 4
                path = (f"blocks_{block}", f"conv_{conv}")
                shape = (after, fan_in, 3, 3)
                rows += layer(f"layer{2 * block + conv}", path, shape)
        shape = (size.channels, after, 1, 1)
        rows += layer(f"output{block}", (f"to_rgbs_{block}",), shape)
    return rows


def _official_constants(size: Size) -> Tensors:
    """Returns the level of detail, which is 0 once the network has grown."""
    return {"lod": np.zeros((), np.float32)}


GENERATOR = Layout("RTIL's PGGAN", _generator_size, _generator_rows)
DISCRIMINATOR = Layout(
    "RTIL's PGGAN discriminator", _discriminator_size, _discriminator_rows
)
OFFICIAL = Layout(
    "mGANprior's official PGGAN", _official_size, _official_rows, _official_constants
)
