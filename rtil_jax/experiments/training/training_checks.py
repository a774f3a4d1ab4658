"""Checks that concern several fields of a training run together."""

import math

from rtil_jax.config import require
from rtil_jax.discriminators.minibatch_stddev import STDDEV_GROUP, stddev_group_size
from rtil_jax.experiments.training.training_config import (
    PGGANRun,
    TrainingRun,
    is_power_of_two,
)
from rtil_jax.generators.configured import growing_steps


def check_run(run: TrainingRun, num_devices: int) -> None:
    """Raises UserError for the first field that does not fit the others."""
    blocks = int(math.log2(run.resolution)) - 1
    for name, network in (
        ("generator", run.generator),
        ("discriminator", run.discriminator),
    ):
        base, size, widths = network.channel_base, run.resolution, network.widths
        expected = f"at least {size}, the resolution"
        require(base >= size, f"{name}.channel_base", base, expected)
        require(
            len(widths) in (0, blocks)
            and all(type(width) is int and width > 0 for width in widths),
            f"{name}.widths",
            widths,
            f"{blocks} positive integers, one per block, or ()",
        )
    group = STDDEV_GROUP
    batches: tuple[int, ...] = ()
    if isinstance(run, PGGANRun):
        group = run.discriminator.stddev_group
        block, expected = run.family.block, f"one of 1 to {blocks}, the last block"
        require(1 <= block <= blocks, "family.block", block, expected)
        if run.growing == "progressive":
            check_phases(run)
            batches = run.phases.batch_sizes
    field = "phases.batch_sizes" if batches else "training.batch_size"
    for size in batches or [run.training.batch_size]:
        check_batch_size(field, size, group, num_devices)


def check_batch_size(field: str, size: int, group: int, num_devices: int) -> None:
    """Raises UserError if minibatch-stddev or the devices cannot divide a batch.

    Args:
        field: the name of the field, for the error.
        size: number of images in the batch.
        group: the most images that minibatch-stddev compares.
        num_devices: number of devices.
    """
    comparable = size >= 2 and stddev_group_size(size, group) > 1
    expected = f"a multiple of a number from 2 to {group} (images compared together)"
    require(comparable, field, size, expected)
    expected = f"a multiple of {num_devices}, the number of devices"
    require(size % num_devices == 0, field, size, expected)


def check_phases(run: PGGANRun) -> None:
    """Raises UserError unless phases double their size up to the resolution."""
    phases, steps, sizes = run.phases, run.training.steps, run.phases.resolutions
    if sizes:
        doubling = all(2 * a == b for a, b in zip(sizes, sizes[1:], strict=False))
        require(
            min(sizes) >= 4
            and is_power_of_two(sizes[0])
            and doubling
            and sizes[-1] == run.resolution,
            "phases.resolutions",
            sizes,
            f"powers of two from 4 or more, each twice the one before, that end at "
            f"{run.resolution}, the resolution",
        )
    count = len(sizes) or int(math.log2(run.resolution)) - 1
    require(
        len(phases.batch_sizes) in (0, count),
        "phases.batch_sizes",
        phases.batch_sizes,
        f"one for each of the {count} phases, or ()",
    )
    expected = f"at least {count}, one for each phase of growing"
    require(steps >= count, "training.steps", steps, expected)
    require(
        growing_steps(count, phases.steps) < steps,
        "phases.steps",
        phases.steps,
        f"fewer, so that the last of {count} phases fades in within "
        f"config.training.steps = {steps}",
    )
