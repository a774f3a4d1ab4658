"""Configurations: variants, checks, and the objects that a configuration describes.

A configuration file is a function `get_config(variant)` that returns a locked
`ml_collections.ConfigDict`; `configs/` holds one per experiment. Variants combine with
commas: `configs/quickstart.py:rtil,tiny`.
"""

import functools
import json
import math
import os
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from rtil_jax.discriminators import StyleGAN2Discriminator, stddev_group_size
from rtil_jax.errors import UserError
from rtil_jax.families import AdditiveFamily, member_weights
from rtil_jax.generators import Generator, StyleGAN2Generator, check_blocks
from rtil_jax.training.stylegan2 import StyleGAN2Recipe


def parse_variants(variant: str | None, known: tuple[str, ...]) -> set[str]:
    """Splits `a,b` into {a, b}.

    Raises:
        UserError: for a variant that is not in `known`.
    """
    chosen = set(filter(None, (variant or "").split(",")))
    if unknown := chosen - set(known):
        raise UserError(
            f"config variant: found {sorted(unknown)[0]!r}, expected some of {known}"
        )
    return chosen


def require(condition: bool, field: str, found: Any, expected: str) -> None:
    """Raises UserError `config.FIELD: found FOUND, expected EXPECTED` unless true."""
    if not condition:
        raise UserError(f"config.{field}: found {found!r}, expected {expected}")


def save_config(config: dict, path: str) -> None:
    """Writes `config` as JSON, replacing `path` in one step."""
    with open(f"{path}.partial", "w") as file:
        json.dump(config, file, indent=2, sort_keys=True)
        file.write("\n")
    os.replace(f"{path}.partial", path)


def plain(config: ConfigDict) -> dict:
    """`config` as nested dicts and lists, as JSON would return it."""
    return json.loads(config.to_json_best_effort())


def first_difference(found: dict, expected: dict, free: tuple[str, ...]) -> str | None:
    """The first dotted field in which two configs differ, but for those in `free`.

    A name in `free` covers everything below it.
    """
    for name in sorted(found.keys() | expected.keys()):
        if name in free or found.get(name) == expected.get(name):
            continue
        a, b = found.get(name), expected.get(name)
        if not (isinstance(a, dict) and isinstance(b, dict)):
            return name
        below = tuple(f.removeprefix(f"{name}.") for f in free if f.startswith(name))
        if deeper := first_difference(a, b, below):
            return f"{name}.{deeper}"
    return None


def _at_least(least: int) -> tuple[Callable, str]:
    return lambda value: value >= least, f"at least {least}"


def _one_of(*known: Any) -> tuple[Callable, str]:
    return lambda value: value in known, f"one of {known}"


_POSITIVE = (lambda value: 0 < value < math.inf, "a number above 0")
_NOT_NEGATIVE = (lambda value: 0 <= value < math.inf, "a number of at least 0")
_FRACTION = (lambda value: 0 <= value <= 1, "a number in [0, 1]")

# Field -> (what holds for its values, how to say it). `nan` passes none of them.
_TRAINING_FIELDS = {
    "seed": (lambda value: 0 <= value < 2**32, "an integer in [0, 2^32)"),
    "resolution": (
        lambda value: value >= 8 and value & (value - 1) == 0,
        "a power of two, at least 8",
    ),
    "channels": _one_of(1, 3),
    "data.count": _at_least(0),
    "generator.max_channels": _at_least(1),
    "generator.latent_dim": _at_least(1),
    "generator.mapping_layers": _at_least(1),
    "generator.style_mixing": _FRACTION,
    "discriminator.max_channels": _at_least(1),
    "family.blocks": (
        lambda value: all(type(block) is int for block in value),
        "integers, such as (1, 2, 3) or ()",
    ),
    "family.sigma": _NOT_NEGATIVE,
    "family.weighting": _one_of("paper", "uniform"),
    "family.base_weight": _FRACTION,
    "family.members": _one_of("drawn", "enumerated"),
    "training.steps": _at_least(1),
    "training.batch_size": (
        lambda value: value >= 2 and stddev_group_size(value) > 1,
        "a multiple of 2 or 3 (images are compared in groups of 2 to 4)",
    ),
    "training.learning_rate": _POSITIVE,
    "training.r1_weight": _NOT_NEGATIVE,
    "training.r1_every": _at_least(0),
    "training.path_weight": _NOT_NEGATIVE,
    "training.path_every": _at_least(0),
    "training.path_batch_shrink": _at_least(1),
    "training.ema_decay": (lambda value: 0 <= value < 1, "a number in [0, 1)"),
    "checkpoint.every": _at_least(1),
    "checkpoint.keep": _at_least(1),
    "sample.every": _at_least(1),
    "sample.columns": _at_least(1),
    "log.every": _at_least(1),
}


def check_training_config(config: ConfigDict, num_devices: int) -> None:
    """Raises UserError for the first field that cannot be used."""
    for field, (holds, expected) in _TRAINING_FIELDS.items():
        value = functools.reduce(getattr, field.split("."), config)
        require(holds(value), field, value, expected)
    for network in ("generator", "discriminator"):
        base, size = config[network].channel_base, config.resolution
        expected = f"at least {size}, the resolution"
        require(base >= size, f"{network}.channel_base", base, expected)
    batch = config.training.batch_size
    expected = f"a multiple of {num_devices}, the number of devices"
    require(batch % num_devices == 0, "training.batch_size", batch, expected)


def build_generator(config: ConfigDict, style_mixing: float = 0.0) -> Generator:
    """The generator that a training config describes."""
    return StyleGAN2Generator(
        resolution=config.resolution,
        channels=config.channels,
        max_channels=config.generator.max_channels,
        channel_base=config.generator.channel_base,
        latent_dim=config.generator.latent_dim,
        mapping_layers=config.generator.mapping_layers,
        style_mixing=style_mixing,
    )


def build_recipe(config: ConfigDict) -> StyleGAN2Recipe:
    """The training recipe that a training config describes.

    Raises:
        UserError: if the family's blocks are not blocks of the generator.
    """
    generator = build_generator(config, config.generator.style_mixing)
    blocks = tuple(config.family.blocks)
    check_blocks(generator, blocks, "config.family.blocks")
    training = config.training.to_dict()
    del training["steps"]  # the loop's affair
    weights = member_weights(
        len(blocks) + 1, config.family.weighting, config.family.base_weight
    )
    return StyleGAN2Recipe(
        generator=generator,
        discriminator=StyleGAN2Discriminator(
            config.discriminator.max_channels, config.discriminator.channel_base
        ),
        family=AdditiveFamily(blocks, config.family.sigma, weights),
        enumerate_family=config.family.members == "enumerated",
        **training,
    )
