"""`batch_size=auto`: as many images at once as the devices' memory takes.

XLA knows what a compiled program needs before it runs: its arguments and temporaries.
The program of the setting that reads and writes most is compiled for some batch, and
again for the batch that this one says would fit, until one does. Nothing runs.
"""

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import jax

from rtil_jax.devices import data_mesh
from rtil_jax.errors import UserError
from rtil_jax.experiments.estimate import compiled_cost, work_of
from rtil_jax.experiments.inversion.inputs import image_shape, prior_of
from rtil_jax.experiments.inversion.inversion_fields import AUTO
from rtil_jax.experiments.inversion.inversion_plan import plan_of
from rtil_jax.experiments.inversion.inversion_run import InversionRun
from rtil_jax.experiments.measurements.measured import Subjects
from rtil_jax.priors.prior import Prior

# A CPU takes two images at a time (`inversion.at_once`): more at once are no faster.
ON_CPU = 32
FIRST = 64  # images of a device in the first program, if there are so many
# Of a device's memory; the rest is for what other programs keep, and for gaps.
SHARE = 0.9
SHARE_OF_MACHINE = 0.5  # which other processes use, too


def with_batch_size(
    run: InversionRun,
    priors: dict[str, Prior],
    distances: dict[str, Any],
    images: Subjects,
    count: int,
) -> InversionRun:
    """`run`, with a number for a batch size that is `auto`, which it prints.

    Args:
        run: as parsed.
        priors, distances: those that it names.
        images: the first of those to recover, or all measurements.
        count: how many there are.

    Raises:
        UserError: if not even one image per device fits.
    """
    if run.batch_size != AUTO:
        return run
    mesh, (limit, what) = data_mesh(), memory_limit()
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    most = min(count, ON_CPU if on_cpu else count)

    def memory(size: int) -> int:
        return _memory(run, priors, distances, images, size)

    size, needed = largest(memory, limit, most, min(most, FIRST * mesh.size), mesh.size)
    print(
        f"batch_size=auto: {size} images at once, which need {needed / 2**20:,.0f} of "
        f"the {limit / 2**20:,.0f} MiB that are {what}"
    )
    return dataclasses.replace(run, batch_size=size)


def memory_limit() -> tuple[int, str]:
    """(bytes that a device's programs may need, what these are)."""
    devices = jax.local_devices()
    stats = devices[0].memory_stats() or {}
    if limit := stats.get("bytes_limit"):
        return int(SHARE * limit), f"{SHARE:.0%} of JAX's part of the device's memory"
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    share = SHARE_OF_MACHINE / len(devices)
    return int(share * machine), f"{share:.0%} of the machine's memory"


def largest(
    memory: Callable[[int], int], limit: int, most: int, first: int, devices: int
) -> tuple[int, int]:
    """(the largest batch that fits, the bytes that it needs).

    It is `most`, or a power of two of images on each device.

    Args:
        memory: bytes of a batch on a device, about linear in its size.
        limit: bytes that a device has.
        most: no batch is larger.
        first: the first size to try.
        devices: that share a batch.

    Raises:
        UserError: if one image per device needs more than `limit`.
    """
    size, needed = first, memory(first)
    fitting = (size, needed) if needed <= limit else (0, 0)
    if needed > limit:
        size = _power_of_two(size * limit / needed, devices)
    elif size < most:
        smaller = max(size // 2, 1)
        slope = max((needed - memory(smaller)) / (size - smaller), 1.0)
        size = int(min(size + (limit - needed) / slope, most))
        size = size if size == most else _power_of_two(size, devices)
    while size > fitting[0]:
        needed = memory(size)
        if needed <= limit:
            return size, needed
        if size <= devices:
            break
        size = _power_of_two(size / 2, devices)
    if fitting[0]:
        return fitting
    raise UserError(
        f"config.batch_size: found auto, but one image on each device needs "
        f"{needed / 2**20:,.3g} MiB, expected at most {limit / 2**20:,.3g} MiB"
    )


def _power_of_two(size: float | int, devices: int) -> int:
    """A power of two of images on each device, at least 1, not above `size`."""
    per_device = max(int(size) // devices, 1)
    return devices * 2 ** (per_device.bit_length() - 1)


def _memory(
    run: InversionRun,
    priors: dict[str, Prior],
    distances: dict[str, Any],
    images: Subjects,
    size: int,
) -> int:
    """Bytes of the program of all settings that reads and writes most; 0 for none."""
    mesh, shape = data_mesh(), image_shape(run.images, priors)
    programs = []
    for entries in run.settings.values():
        starts = size * entries[0].restarts
        starts += -starts % mesh.size
        for name in dict.fromkeys(entry.prior for entry in entries):
            own = [entry for entry in entries if entry.prior == name]
            prior = prior_of(own[0], priors, shape)
            programs += plan_of(run, own, prior, distances, starts, images).programs
    lowered = [function.lower(*given) for function, *given in programs]
    if not lowered:
        return 0
    return compiled_cost(max(lowered, key=lambda x: work_of(x).traffic))[0]
