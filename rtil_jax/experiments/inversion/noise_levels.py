"""Describes the noise of an inversion's measurements, for its plan and its record."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from rtil_jax import data
from rtil_jax.experiments.inversion.inversion_entries import Entry
from rtil_jax.experiments.inversion.inversion_run import InversionRun
from rtil_jax.experiments.inversion.measuring import in_range
from rtil_jax.experiments.measurements.measured import Measured, Subjects
from rtil_jax.inversion.problems import image_keys
from rtil_jax.operators import sample_operators
from rtil_jax.operators.noise import (
    PICTURED,
    noise_text,
    noise_unit,
    photon_text,
    signal_to_noise,
)
from rtil_jax.operators.sampling import KINDS

MOST_IMAGES = 32  # the most images to average a signal-to-noise ratio over


def describe_noise(entry: Entry, limits: tuple, snr: Mapping[str, dict]) -> str:
    """Describes the noise of an entry in words.

    Args:
        entry: its method, problem and ratio.
        limits: the values of black and white.
        snr: from `noise_record`.
    """
    if entry.noise:
        return photon_text(entry.noise.peak)
    unit = noise_unit(KINDS[entry.problem])
    levels = snr.get(entry.label, {}).get(entry.problem)
    return noise_text(unit, entry.noise_std, limits, levels)


def noise_record(run: InversionRun, images: Subjects) -> dict[str, dict]:
    """Returns signal-to-noise ratios as {label: {problem: {ratio as text: dB}}}.

    Each is a mean over the first images. There is none without noise, for measurements
    from files, and if y is a picture, whose noise is in the units of pixels.
    """
    record: dict[str, dict] = {}
    if isinstance(images, Measured):
        return record
    known: dict[tuple, float] = {}
    for entry in run.entries:
        unit = noise_unit(KINDS[entry.problem])
        if not entry.noise_std or unit in PICTURED:
            continue
        key = entry.problem, entry.noise_std, entry.ratio
        if key not in known:
            known[key] = _snr_of(run, entry, images)
        levels = record.setdefault(entry.label, {}).setdefault(entry.problem, {})
        levels[f"{entry.ratio:g}"] = known[key]
    return record


def _snr_of(run: InversionRun, entry: Entry, images: data.ImageSet) -> float:
    indices = np.arange(min(len(images), MOST_IMAGES))
    truth = in_range(data.to_float(images[indices]), run.images.range)
    keys, _, _ = image_keys(run.seed, indices)
    operators = sample_operators(entry.problem, keys, truth.shape[1:], entry.ratio)
    return signal_to_noise(operators, jnp.asarray(truth), entry.noise_std)
