"""What holds for the fields of a training config, checked before anything runs."""

import functools
import math
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from rtil_jax import data
from rtil_jax.config import require
from rtil_jax.discriminators.minibatch_stddev import STDDEV_GROUP, stddev_group_size
from rtil_jax.errors import UserError
from rtil_jax.generators.configured import architecture_of, growing_steps


def _at_least(least: int) -> tuple[Callable, str]:
    return lambda value: value >= least, f"at least {least}"


def _one_of(*known: Any) -> tuple[Callable, str]:
    return lambda value: value in known, f"one of {known}"


def _whole_numbers(values: Any) -> bool:
    return all(type(value) is int for value in values)


def _is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


_POSITIVE = (lambda value: 0 < value < math.inf, "a number above 0")
_NOT_NEGATIVE = (lambda value: 0 <= value < math.inf, "a number of at least 0")
_FRACTION = (lambda value: 0 <= value <= 1, "a number in [0, 1]")

# Field -> (what holds for its values, how to say it). `nan` passes none of them.
_ALL = {
    "seed": (lambda value: 0 <= value < 2**32, "an integer in [0, 2^32)"),
    "resolution": (
        lambda value: value >= 8 and _is_power_of_two(value),
        "a power of two, at least 8",
    ),
    "channels": _one_of(1, 3),
    "data.count": _at_least(0),
    "data.window": (data.is_window, data.WINDOW),
    "generator.max_channels": _at_least(1),
    "generator.latent_dim": _at_least(1),
    "discriminator.max_channels": _at_least(1),
    "family.weighting": _one_of("paper", "uniform"),
    "family.base_weight": _FRACTION,
    "family.members": _one_of("drawn", "enumerated"),
    "training.steps": _at_least(1),
    "training.learning_rate": _POSITIVE,
    "training.ema_decay": (lambda value: 0 <= value < 1, "a number in [0, 1)"),
    "checkpoint.every": _at_least(1),
    "checkpoint.keep": _at_least(1),
    "checkpoint.keep_every": _at_least(0),
    "checkpoint.rollbacks": _at_least(0),
    "sample.every": _at_least(1),
    "sample.columns": _at_least(1),
    "log.every": _at_least(1),
}
_STYLEGAN2 = {
    "generator.mapping_layers": _at_least(1),
    "generator.style_mixing": _FRACTION,
    "family.blocks": (_whole_numbers, "integers, such as (1, 2, 3) or ()"),
    "family.sigma": _NOT_NEGATIVE,
    "training.r1_weight": _NOT_NEGATIVE,
    "training.r1_every": _at_least(0),
    "training.path_weight": _NOT_NEGATIVE,
    "training.path_every": _at_least(0),
    "training.path_batch_shrink": _at_least(1),
}
_PGGAN = {
    "discriminator.stddev_group": _at_least(2),
    "generator.layout": _one_of("rtil", "official"),
    "family.codes": (
        lambda value: (
            _whole_numbers(value)
            and list(value[:1]) == [1]
            and all(a < b for a, b in zip(value, value[1:], strict=False))
        ),
        "increasing numbers of codes from 1, such as (1, 10, 20) or (1,)",
    ),
    "growing": _one_of("progressive", "none"),
    "phases.resolutions": (_whole_numbers, "integers, such as (4, 8, 16), or ()"),
    "phases.batch_sizes": (_whole_numbers, "integers, such as (32, 32, 16), or ()"),
    "phases.steps": _at_least(0),
    "training.penalty_weight": _NOT_NEGATIVE,
    "training.drift": _NOT_NEGATIVE,
}
# Architecture -> its own fields; others can be inverted, but have no recipe.
_TRAINED = {"stylegan2": _STYLEGAN2, "pggan": _PGGAN}


def check_trainable(config: ConfigDict) -> str:
    """The architecture of a training config.

    Raises:
        UserError: if no recipe trains it.
    """
    architecture, known = architecture_of(config), " or ".join(_TRAINED)
    expected = f"{known}, for which there is a training recipe"
    require(architecture in _TRAINED, "architecture", architecture, expected)
    return architecture


def check_training_config(config: ConfigDict, num_devices: int) -> None:
    """Raises UserError for the first field that cannot be used."""
    if "training" not in config:
        raise UserError(
            "--config: found a config without config.training, expected one for "
            "train.py, such as configs/quickstart.py"
        )
    architecture = check_trainable(config)
    fields = _ALL | _TRAINED[architecture]
    for field, (holds, expected) in fields.items():
        try:
            value = functools.reduce(getattr, field.split("."), config)
        except AttributeError as error:
            raise UserError(
                f"config.architecture: found {architecture!r}, but this config has no "
                f"config.{field}: expected a config made for {architecture}"
            ) from error
        require(holds(value), field, value, expected)
    blocks = int(math.log2(config.resolution)) - 1
    for network in ("generator", "discriminator"):
        base, size = config[network].channel_base, config.resolution
        expected = f"at least {size}, the resolution"
        require(base >= size, f"{network}.channel_base", base, expected)
        widths = config[network].widths
        require(
            len(widths) in (0, blocks)
            and _whole_numbers(widths)
            and all(width > 0 for width in widths),
            f"{network}.widths",
            widths,
            f"{blocks} positive integers, one per block, or ()",
        )
    largest_group, batches = STDDEV_GROUP, ()
    if architecture == "pggan":
        largest_group = config.discriminator.stddev_group
        block, expected = config.family.block, f"one of 1 to {blocks}, the last block"
        is_block = type(block) is int and 1 <= block <= blocks
        require(is_block, "family.block", block, expected)
        if config.growing == "progressive":
            check_phases(config)
            batches = config.phases.batch_sizes
    field = "phases.batch_sizes" if batches else "training.batch_size"
    for size in batches or [config.training.batch_size]:
        check_batch_size(field, size, largest_group, num_devices)


def check_batch_size(field: str, size: int, group: int, num_devices: int) -> None:
    """Raises UserError unless minibatch-stddev and the devices can divide `size`."""
    comparable = size >= 2 and stddev_group_size(size, group) > 1
    expected = f"a multiple of a number from 2 to {group} (of images compared at once)"
    require(comparable, field, size, expected)
    expected = f"a multiple of {num_devices}, the number of devices"
    require(size % num_devices == 0, field, size, expected)


def check_phases(config: ConfigDict) -> None:
    """Raises UserError unless phases double their size up to the resolution."""
    phases, steps = config.phases, config.training.steps
    sizes = list(phases.resolutions)
    if sizes:
        doubling = all(2 * a == b for a, b in zip(sizes, sizes[1:], strict=False))
        require(
            min(sizes) >= 4
            and _is_power_of_two(sizes[0])
            and doubling
            and sizes[-1] == config.resolution,
            "phases.resolutions",
            tuple(sizes),
            f"powers of two from 4 or more, each twice the one before, that end at "
            f"{config.resolution}, the resolution",
        )
    count = len(sizes) or int(math.log2(config.resolution)) - 1
    batches = tuple(phases.batch_sizes)
    require(
        len(batches) in (0, count),
        "phases.batch_sizes",
        batches,
        f"one for each of the {count} phases, or ()",
    )
    if steps < count:
        raise UserError(
            f"config.training.steps: found {steps}, expected at least {count}, one "
            "for each phase of growing"
        )
    require(
        growing_steps(count, phases.steps) < steps,
        "phases.steps",
        phases.steps,
        f"so few that the last of {count} phases has faded in within "
        f"config.training.steps = {steps}",
    )
