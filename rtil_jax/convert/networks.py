"""Converts the tensors of a checkpoint to variables with a training config, and back.

The kind of network and its resolution follow from names and shapes; see `layouts`.
"""

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from rtil_jax.convert import pggan, stylegan2
from rtil_jax.convert.checkpoint import Checkpoint
from rtil_jax.convert.layouts import (
    Layout,
    Size,
    Tensors,
    identify,
    shapes_of,
    to_params,
    to_tensors,
)
from rtil_jax.errors import UserError
from rtil_jax.experiments.training.training_config import pggan_config, stylegan2_config
from rtil_jax.generators.configured import architecture_of
from rtil_jax.layers import pggan_width, stylegan2_width


@dataclasses.dataclass(frozen=True)
class Kind:
    """A public pair of generator and discriminator.

    Attributes:
        generator, discriminator: their layouts.
        architecture, layout: their names in a training config.
        width: returns the width for (resolution, max_channels, channel_base), if a
            config does not give the widths.
    """

    generator: Layout
    discriminator: Layout
    architecture: str
    layout: str
    width: Callable[[int, int, int], int]


KINDS = (
    Kind(
        stylegan2.GENERATOR,
        stylegan2.DISCRIMINATOR,
        "stylegan2",
        "",
        stylegan2_width,
    ),
    Kind(pggan.GENERATOR, pggan.DISCRIMINATOR, "pggan", "rtil", pggan_width),
    Kind(pggan.OFFICIAL, pggan.DISCRIMINATOR, "pggan", "official", pggan_width),
)


@dataclasses.dataclass(frozen=True)
class Converted:
    """A checkpoint in the form of this library.

    Attributes:
        config: a training config; `config.converted` says what was converted.
        generator, ema: their variables; the same if the file has only one of them.
        discriminator: its variables, or None if the file has no discriminator.
        buffers: tensors that a prior does not use, by PyTorch's names.
    """

    config: ConfigDict
    generator: dict
    ema: dict
    discriminator: dict | None
    buffers: Tensors


def convert_checkpoint(
    checkpoint: Checkpoint, resolution: int | None = None
) -> Converted:
    """Converts the networks of a checkpoint to variables with a training config.

    A discriminator that cannot be used is left out with a warning.

    Args:
        checkpoint: the networks of a file.
        resolution: refuse a network of another resolution; None accepts any.

    Raises:
        UserError: if the layout is unknown, the resolution differs, or the networks
            contradict each other.
    """
    parts = checkpoint.parts
    first_part = "g_ema" if "g_ema" in parts else "g"
    kind, size = _kind_of(parts[first_part], checkpoint.origins.get(first_part, ""))
    if resolution not in (None, size.resolution):
        raise UserError(
            f"--resolution: found {resolution}, expected {size.resolution}: the file "
            f"has {kind.generator.name} with {len(size.widths)} sizes of features"
        )
    generators = {}
    for part in (part for part in ("g_ema", "g") if part in parts):
        if _kind_of(parts[part]) != (kind, size):
            raise UserError(
                f"{part}: found a network that differs from g_ema, expected the same"
            )
        generators[part] = to_params(kind.generator, size, parts[part])
    discriminator, discriminator_size = _discriminator(kind, size, parts.get("d"))
    _warn_of_growing(kind, size, checkpoint.numbers)
    config = _config(kind, size, discriminator_size)
    converted = [*generators] + ["d"] * (discriminator is not None)
    prefixed = [part for part in converted if part in checkpoint.prefixed]
    config.converted = ConfigDict(
        {"parts": converted, "prefixed": prefixed, "flat": checkpoint.flat}
    )
    first = next(iter(generators.values()))
    return Converted(
        config,
        generators.get("g", first),
        generators.get("g_ema", first),
        discriminator,
        _kept(kind, size, checkpoint),
    )


def _kept(kind: Kind, size: Size, checkpoint: Checkpoint) -> Tensors:
    """Returns the buffers of the generators by `PART.name`, and the mean of w."""
    kept = dict(checkpoint.tensors) if kind.architecture == "stylegan2" else {}
    for part, tensors in checkpoint.parts.items():
        if part != "d":
            for key in kind.generator.buffers(size).keys() & tensors.keys():
                kept[f"{part}.{key}"] = tensors[key]
    return kept


def _kind_of(tensors: Tensors, where: str = "") -> tuple[Kind, Size]:
    layouts = [kind.generator for kind in KINDS]
    layout, size = identify(layouts, shapes_of(tensors), where)
    return next(kind for kind in KINDS if kind.generator is layout), size


def _discriminator(
    kind: Kind, size: Size, tensors: Tensors | None
) -> tuple[Any, Size | None]:
    """Returns variables and size of the discriminator, or (None, None)."""
    if tensors is None:
        return None, None
    try:
        layout, found = identify([kind.discriminator], shapes_of(tensors))
        if (found.resolution, found.channels) != (size.resolution, size.channels):
            raise UserError(
                f"found one of {found.resolution} pixels and {found.channels} channels"
            )
        return to_params(layout, found, tensors), found
    except UserError as error:
        logging.getLogger("rtil_jax").warning("d: not converted: %s", error)
        return None, None


def _warn_of_growing(kind: Kind, size: Size, numbers: dict[str, float]) -> None:
    """Warns if RTIL's PGGAN was saved while it was still growing."""
    last = len(size.widths) - 1
    step, alpha = numbers.get("step", last), numbers.get("alpha", 1)
    if kind.layout == "rtil" and (step < last or 0 <= alpha < 1):
        logging.getLogger("rtil_jax").warning(
            "the network was still growing (step %g of %d, alpha %g): its last blocks "
            "are not fully trained",
            step,
            last,
            alpha,
        )


def _config(kind: Kind, size: Size, discriminator_size: Size | None) -> ConfigDict:
    """Returns a training config with these networks and a vanilla family."""
    config = pggan_config() if kind.architecture == "pggan" else stylegan2_config()
    config.resolution, config.channels = size.resolution, size.channels
    config.data.source = ""  # unknown
    config.generator.latent_dim = size.latent_dim
    config.generator.update(_width_fields(kind, size.widths))
    widths = (discriminator_size or size).widths
    config.discriminator.update(_width_fields(kind, widths))
    if kind.architecture == "pggan":
        config.generator.layout = kind.layout
        config.growing = "none"
        config.family.codes = (1,)
        config.family.block = min(config.family.block, len(size.widths))
    else:
        config.generator.mapping_layers = size.mapping_layers
        config.family.blocks = ()
    return config


def _width_fields(kind: Kind, widths: tuple[int, ...]) -> dict[str, Any]:
    """Returns `max_channels` and `channel_base` if these suffice, or else `widths`."""
    sizes, largest = [2 ** (i + 2) for i in range(len(widths))], max(widths)
    bases = {width * size for width, size in zip(widths, sizes, strict=True)}
    for base in sorted(bases, reverse=True):
        fits = [kind.width(size, largest, base) for size in sizes] == list(widths)
        if fits and base >= sizes[-1]:
            return {"max_channels": largest, "channel_base": base}
    return {"widths": widths}


def checkpoint_from(config: ConfigDict, networks: dict, buffers: Tensors) -> Checkpoint:
    """Converts variables back to a checkpoint; the inverse of `convert_checkpoint`.

    Args:
        config: the training config, with or without `config.converted`.
        networks: the variables of all PARTS.
        buffers: as in `Converted`; missing fixed noise maps are drawn.

    Raises:
        UserError: if the architecture has no public layout.
    """
    kind = _kind_named(config)
    whole = {"parts": [*networks], "prefixed": [], "flat": False}
    converted, parts = config.get("converted", whole), {}
    for part in converted["parts"]:
        if part == "d":
            layout, fields = kind.discriminator, config.discriminator
            size = Size(config.channels, _widths(kind, config.resolution, fields))
        else:
            layout, fields = kind.generator, config.generator
            size = Size(
                config.channels,
                _widths(kind, config.resolution, fields),
                fields.latent_dim,
                fields.get("mapping_layers", 0),
            )
        parts[part] = to_tensors(layout, size, networks[part])
        parts[part] |= _buffers(layout, size, part, buffers)
    beside = {key: array for key, array in buffers.items() if "." not in key}
    prefixed = tuple(converted["prefixed"])
    return Checkpoint(parts, beside, {}, prefixed, converted["flat"])


def _kind_named(config: ConfigDict) -> Kind:
    names = architecture_of(config), config.generator.get("layout", "rtil")
    for kind in KINDS:
        if names[0] == kind.architecture and kind.layout in ("", names[1]):
            return kind
    raise UserError(
        f"config.architecture: found {names[0]!r}, which has no public PyTorch layout, "
        f"expected one of {', '.join(dict.fromkeys(k.architecture for k in KINDS))}"
    )


def _widths(kind: Kind, resolution: int, fields: ConfigDict) -> tuple[int, ...]:
    """Returns the widths; the inverse of `_width_fields`."""
    if fields.get("widths"):
        return tuple(fields.widths)
    sizes = [2**n for n in range(2, resolution.bit_length())]
    return tuple(
        kind.width(size, fields.max_channels, fields.channel_base) for size in sizes
    )


def _buffers(layout: Layout, size: Size, part: str, kept: Tensors) -> Tensors:
    """Returns the buffers of a network, kept or drawn from N(0, 1) as in PyTorch."""
    random = np.random.default_rng(0)
    return {
        key: kept.get(f"{part}.{key}", random.standard_normal(shape, np.float32))
        for key, shape in layout.buffers(size).items()
    }
