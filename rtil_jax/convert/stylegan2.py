"""The layout of rosinality's StyleGAN2, which RTIL and ILO also use.

RTIL narrows the widths, and saves from DataParallel, which puts `module.` before every
name. Widths, depth of the mapping network and size of w follow from the shapes.
"""

import numpy as np

from rtil_jax.convert.layouts import Layout, Row, Shapes, Size, Tensors, axis, count
from rtil_jax.convert.transforms import (
    CHANNELS,
    FLAT_MATRIX,
    IMAGE,
    KERNEL,
    MATRIX,
    MODULATED_KERNEL,
    SAME,
    SCALAR,
)

# outer([1, 3, 3, 1]) divided by its sum, a power of two, so it is exact.
BLUR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64


def _generator_size(shapes: Shapes) -> Size:
    widths = [axis(shapes, "input.input", 1, axis(shapes, "conv1.conv.weight", 1))]
    for block in range(count(shapes, "to_rgbs.{}.conv.weight")):
        key = f"convs.{2 * block}.conv.weight"
        widths.append(axis(shapes, key, 1, widths[-1]))
    return Size(
        channels=axis(shapes, "to_rgb1.conv.weight", 1, 3),
        widths=tuple(widths),
        latent_dim=axis(shapes, "conv1.conv.modulation.weight", 1),
        mapping_layers=max(count(shapes, "style.{}.weight") - 1, 0),
    )


def _generator_rows(size: Size) -> list[Row]:
    w = size.latent_dim
    rows = []
    for layer in range(size.mapping_layers):
        key, path = f"style.{layer + 1}", ("mapping", f"Dense_{layer}")
        rows.append(Row(f"{key}.weight", (w, w), (*path, "kernel"), MATRIX))
        rows.append(Row(f"{key}.bias", (w,), (*path, "bias"), SAME))
    first = size.widths[0]
    rows.append(Row("input.input", (1, first, 4, 4), ("constant",), IMAGE))
    rows += _styled("conv1", "convs_0", first, first, w)
    rows += _to_rgb("to_rgb1", "to_rgbs_0", first, size.channels, w)
    for block, (before, after) in enumerate(_steps(size.widths)):
        rows += _styled(f"convs.{2 * block}", f"up_convs_{block}", before, after, w)
        name = f"convs.{2 * block + 1}", f"convs_{block + 1}"
        rows += _styled(*name, after, after, w)
    for block, (_, after) in enumerate(_steps(size.widths)):
        name = f"to_rgbs.{block}", f"to_rgbs_{block + 1}"
        rows += _to_rgb(*name, after, size.channels, w)
    return rows


def _steps(widths: tuple[int, ...]) -> list[tuple[int, int]]:
    """Returns the widths before and after each change of resolution."""
    return list(zip(widths, widths[1:], strict=False))


def _modulated(
    key: str, path: tuple[str, ...], shape: tuple[int, ...], latent_dim: int
) -> list[Row]:
    fan_in, modulation = shape[1], (*path, "modulation")
    matrix = (fan_in, latent_dim)
    return [
        Row(f"{key}.weight", (1, *shape), (*path, "kernel"), MODULATED_KERNEL),
        Row(f"{key}.modulation.weight", matrix, (*modulation, "kernel"), MATRIX),
        Row(f"{key}.modulation.bias", (fan_in,), (*modulation, "bias"), SAME),
    ]


def _styled(key: str, name: str, fan_in: int, out: int, latent_dim: int) -> list[Row]:
    shape = (out, fan_in, 3, 3)
    return [
        *_modulated(f"{key}.conv", (name, "conv"), shape, latent_dim),
        Row(f"{key}.noise.weight", (1,), (name, "noise_strength"), SCALAR),
        Row(f"{key}.activate.bias", (out,), (name, "bias"), SAME),
    ]


def _to_rgb(key: str, name: str, fan_in: int, out: int, latent_dim: int) -> list[Row]:
    shape = (out, fan_in, 1, 1)
    return [
        *_modulated(f"{key}.conv", (name, "conv"), shape, latent_dim),
        Row(f"{key}.bias", (1, out, 1, 1), (name, "bias"), CHANNELS),
    ]


def _generator_constants(size: Size) -> Tensors:
    constants = {}
    for block in range(len(size.widths) - 1):
        constants[f"convs.{2 * block}.conv.blur.kernel"] = 4 * BLUR
        constants[f"to_rgbs.{block}.upsample.kernel"] = 4 * BLUR
    return constants


def noise_shapes(size: Size) -> Shapes:
    """Returns the shapes of the fixed noise maps: one at 4 pixels, two at others."""
    sides = [2 ** (i // 2 + 2) for i in range(1, 2 * len(size.widths))]
    return {f"noises.noise_{i}": (1, 1, s, s) for i, s in enumerate(sides)}


def _discriminator_size(shapes: Shapes) -> Size:
    widths = [axis(shapes, "convs.0.0.weight", 0)]
    for block in range(1, count(shapes, "convs.{}.skip.1.weight")):
        key = f"convs.{block}.conv2.1.weight"
        widths.append(axis(shapes, key, 0, widths[-1]))
    return Size(axis(shapes, "convs.0.0.weight", 1, 3), tuple(reversed(widths)))


def _discriminator_rows(size: Size) -> list[Row]:
    first, last = size.widths[-1], size.widths[0]
    rows = _convolution("convs.0", ("FromRGB_0",), size.channels, first, side=1)
    for block, (before, after) in enumerate(_steps(size.widths[::-1])):
        key, name = f"convs.{block + 1}", f"ResidualBlock_{block}"
        rows += _convolution(f"{key}.conv1", (name, "conv"), before, before)
        # A blur comes before the layer that halves the size.
        down = f"{key}.conv2", (name, "conv_down")
        rows += _convolution(*down, before, after, index=1)
        skip = f"{key}.skip.1.weight", (after, before, 1, 1)
        rows.append(Row(*skip, (name, "skip", "kernel"), KERNEL))
    rows += _convolution("final_conv", ("Conv_0",), last + 1, last)
    flat = "final_linear.0.weight", (last, 16 * last)
    return [
        *rows,
        Row(*flat, ("Dense_0", "kernel"), FLAT_MATRIX),
        Row("final_linear.0.bias", (last,), ("Dense_0", "bias"), SAME),
        Row("final_linear.1.weight", (1, last), ("Dense_1", "kernel"), MATRIX),
        Row("final_linear.1.bias", (1,), ("Dense_1", "bias"), SAME),
    ]


def _convolution(
    key: str,
    path: tuple[str, ...],
    fan_in: int,
    out: int,
    side: int = 3,
    index: int = 0,
) -> list[Row]:
    """Returns the rows of a convolution's weight and bias, layer `index` of `key`."""
    weight = f"{key}.{index}.weight", (out, fan_in, side, side)
    return [
        Row(*weight, (*path, "kernel"), KERNEL),
        Row(f"{key}.{index + 1}.bias", (out,), (*path, "bias"), SAME),
    ]


def _discriminator_constants(size: Size) -> Tensors:
    return {
        f"convs.{block}.{layer}.0.kernel": BLUR
        for block in range(1, len(size.widths))
        for layer in ("conv2", "skip")
    }


GENERATOR = Layout(
    "rosinality's or RTIL's StyleGAN2",
    _generator_size,
    _generator_rows,
    _generator_constants,
    noise_shapes,
)
DISCRIMINATOR = Layout(
    "StyleGAN2 discriminator",
    _discriminator_size,
    _discriminator_rows,
    _discriminator_constants,
)
