"""What can be said of recovered images whose truth is not known."""

import dataclasses

import jax
import numpy as np
from jaxtyping import Array, Float

from rtil_jax.experiments.inversion.inversion_entries import Entry
from rtil_jax.experiments.inversion.inversion_run import InversionRun
from rtil_jax.experiments.inversion.measuring import problem_of
from rtil_jax.experiments.measurements.measured import Measured
from rtil_jax.experiments.report.fits import is_off_prior
from rtil_jax.inversion.inverting import invert
from rtil_jax.inversion.perceptual_loss import PerceptualLoss
from rtil_jax.inversion.problems import (
    map_batched,
    mean_square,
    photon_variance,
    settle,
)
from rtil_jax.inversion.reconstruction import Reconstruction
from rtil_jax.operators.interface import ImageShape
from rtil_jax.priors.prior import Prior

# Folded into the keys of further starts, which are no restarts of the fit itself.
FURTHER = 2_000_000


def examined(
    run: InversionRun,
    entry: Entry,
    measured: Measured,
    indices: np.ndarray,
    prior: Prior | None,
    found: Reconstruction,
    perceptual: PerceptualLoss | None,
) -> tuple[Reconstruction, list[dict]]:
    """The same with status `off_prior` where it is that, and facts of each image.

    The facts are the noise's mean square, that of y, and with restarts the spread of
    images from as many further starts.
    """
    problem, keys = problem_of(run, entry, measured, indices)
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
    if prior is None:  # a baseline
        return found, facts
    status = [
        "off_prior" if was != "failed" and is_off_prior(loss, noise, square) else was
        for was, loss, noise, square in zip(
            found.status, losses, noises, squares, strict=True
        )
    ]
    if entry.restarts > 1:
        spread = _spread(run, entry, problem, keys, prior, perceptual, shape)
        facts = [one | {"spread": x} for one, x in zip(facts, spread, strict=True)]
    return dataclasses.replace(found, status=status), facts


def _spread(
    run: InversionRun,
    entry: Entry,
    problem: object,
    keys: jax.Array,
    prior: Prior,
    perceptual: PerceptualLoss | None,
    shape: ImageShape,
) -> Float[np.ndarray, "batch height width channels"]:
    """Standard deviation over starts, of images in [-1, 1] before any finish."""
    rows = np.repeat(np.arange(len(keys)), entry.restarts)
    numbers = FURTHER + np.arange(len(rows)) % entry.restarts
    many = map_batched(lambda x: x[rows], settle(problem, shape))

    found = invert(
        entry.method,
        prior,
        many,
        jax.vmap(jax.random.fold_in)(keys[rows], numbers),
        select=entry.select,
        held_out_fraction=entry.held_out_fraction,
        perceptual=perceptual,
        progress=False,  # the sweep has a bar
    )
    images: Array = found.images.reshape(-1, entry.restarts, *shape)
    black, white = run.images.range
    return np.std(np.asarray(images), axis=1, ddof=1) * 2 / (white - black)
