"""Measurements of the images to recover, in the range that their targets have."""

from typing import TypeVar

import jax
import numpy as np
from jaxtyping import Array, Float

from rtil_jax import data
from rtil_jax.experiments.inversion.inversion_entries import Entry
from rtil_jax.experiments.inversion.inversion_run import InversionRun
from rtil_jax.experiments.measurements.measured import Measured, Subjects
from rtil_jax.inversion.problems import Problem, image_keys, make_problem

Pixels = TypeVar("Pixels", Array, np.ndarray)


def problem_of(
    run: InversionRun, entry: Entry, images: Subjects, indices: np.ndarray
) -> tuple[Problem, jax.Array]:
    """The measurements of some images, and the keys of their inversions.

    Pixels are in `run.images.range`. Keys depend on the seed and the index alone,
    wherever the measurements are from.
    """
    if isinstance(images, Measured):
        truth = None
        if images.truth is not None:
            truth = in_range(data.to_float(images.truth[indices]), run.images.range)
        noise = {"noise": entry.noise, "noise_std": entry.noise_std}
        _, _, keys = image_keys(run.seed, indices)
        return images.problem_of(indices, truth, **noise), keys
    return make_problem(
        entry.problem,
        in_range(data.to_float(images[indices]), run.images.range),
        indices,
        ratio=entry.ratio,
        seed=run.seed,
        noise_std=entry.noise_std,
        peak=entry.noise and entry.noise.peak,
        value_range=run.images.range,
    )


def in_range(images: Float[Pixels, "*shape"], limits: tuple) -> Float[Pixels, "*shape"]:
    """Images whose black and white, -1 and 1, become the two `limits`."""
    black, white = limits
    return (black + white) / 2 + (white - black) / 2 * images


def from_range(
    images: Float[Pixels, "*shape"], limits: tuple
) -> Float[Pixels, "*shape"]:
    """The inverse of `in_range`: images in [-1, 1]."""
    black, white = limits
    return (images - (black + white) / 2) / ((white - black) / 2)
