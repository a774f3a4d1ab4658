"""The noise of an inversion's measurements, in words, for its plan and its record."""

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from rtil_jax import data
from rtil_jax.experiments.inversion.settings import expand, in_range
from rtil_jax.inversion.problems import image_keys
from rtil_jax.operators import OPERATORS, sample_operators
from rtil_jax.operators.noise import (
    PICTURED,
    noise_text,
    noise_unit,
    signal_to_noise,
)

MOST_IMAGES = 32  # that a signal-to-noise ratio is averaged over


def describe_noise(config: ConfigDict, snr: dict | None = None) -> str:
    """The noise of one setting in words; `snr` is its label's of `noise_record`."""
    unit = noise_unit(OPERATORS[config.problem])
    levels = (snr or {}).get(config.problem)
    return noise_text(unit, config.noise_std, tuple(config.images.range), levels)


def snr_of(config: ConfigDict, images: data.ImageSet) -> dict[str, float]:
    """Ratio as text -> signal-to-noise ratio in dB of one setting's measurements.

    The mean over the first images; empty without noise, and where y is a picture, whose
    noise pixels can tell.
    """
    pictured = noise_unit(OPERATORS[config.problem]) in PICTURED
    if not config.noise_std or pictured:
        return {}
    indices = np.arange(min(len(images), MOST_IMAGES))
    truth = in_range(data.to_float(images[indices]), config.images.range)
    keys, _, _ = image_keys(config.seed, indices)
    return {
        f"{ratio:g}": signal_to_noise(
            sample_operators(config.problem, keys, truth.shape[1:], float(ratio)),
            jnp.asarray(truth),
            config.noise_std,
        )
        for ratio in config.ratios
    }


def noise_record(config: ConfigDict, images: data.ImageSet) -> dict:
    """Label -> problem -> ratio as text -> SNR in dB, where it is known."""
    record: dict[str, dict] = {}
    known: dict[tuple, dict] = {}
    for label, one in expand(config):
        key = one.problem, one.noise_std, tuple(one.ratios)
        if key not in known:
            known[key] = snr_of(one, images)
        if known[key]:
            record.setdefault(label, {})[one.problem] = known[key]
    return record
