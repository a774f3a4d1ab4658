"""Examines recovered images whose truth is not known."""

import dataclasses

import numpy as np

from rtil_jax.experiments.inversion.inversion_entries import Entry
from rtil_jax.experiments.inversion.inversion_run import InversionRun
from rtil_jax.experiments.inversion.measuring import problem_of
from rtil_jax.experiments.measurements.measured import Measured
from rtil_jax.experiments.report.fits import is_off_prior
from rtil_jax.inversion.problems import (
    mean_square,
    photon_variance,
    settle,
)
from rtil_jax.inversion.reconstruction import Reconstruction
from rtil_jax.inversion.without_prior import is_baseline


def examined(
    run: InversionRun,
    entry: Entry,
    measured: Measured,
    indices: np.ndarray,
    found: Reconstruction,
) -> tuple[Reconstruction, list[dict]]:
    """Marks images that the prior cannot explain, and returns facts of each image.

    Such images get the status `off_prior`. The facts are the mean square of the noise,
    that of y, and the spread of several restarts for images in [-1, 1].

    Args:
        run: the inversion.
        entry: its method, problem and ratio.
        measured: the measurements from files.
        indices: the indices of the images of this batch.
        found: what was recovered.
    """
    problem, _ = problem_of(run, entry, measured, indices)
    _, height, width, channels = found.images.shape
    shape = height, width, channels
    settled = settle(problem, shape)
    squares = np.asarray(mean_square(settled)).tolist()
    losses = np.asarray(found.measurement_loss).tolist()
    noises = [entry.noise_std**2] * len(squares)
    if entry.noise:
        noises = np.asarray(photon_variance(settled, shape)).tolist()
    facts = [
        {"noise_mse": noise, "mean_square": square}
        for noise, square in zip(noises, squares, strict=True)
    ]
    if is_baseline(entry.method):
        return found, facts
    status = [
        "off_prior" if was != "failed" and is_off_prior(loss, noise, square) else was
        for was, loss, noise, square in zip(
            found.status, losses, noises, squares, strict=True
        )
    ]
    if found.spread is not None:
        black, white = run.images.range
        spread = 2 / (white - black) * found.spread
        facts = [one | {"spread": x} for one, x in zip(facts, spread, strict=True)]
    return dataclasses.replace(found, status=status), facts
