"""Measures the images to recover, in the value range of the config."""

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
    """Returns the problem of some images, and the keys of their inversions.

    Pixels are in `run.images.range`. Keys depend only on the seed and the index of the
    image, also for measurements from files.

    Args:
        run: the inversion.
        entry: its method, problem and ratio.
        images: the images, or measurements from files.
        indices: the indices of the images in this batch.
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
    """Maps images from [-1, 1] to the range from black to white in `limits`."""
    black, white = limits
    return (black + white) / 2 + (white - black) / 2 * images


def from_range(
    images: Float[Pixels, "*shape"], limits: tuple
) -> Float[Pixels, "*shape"]:
    """Maps images back to [-1, 1]; the inverse of `in_range`."""
    black, white = limits
    return (images - (black + white) / 2) / ((white - black) / 2)
