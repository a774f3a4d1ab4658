"""Draws posterior samples: truth, measurement, mean, spread and some samples."""

import jax.numpy as jnp
import numpy as np

from rtil_jax.experiments.report.pictures import image_grid
from rtil_jax.inversion import PosteriorSamples, Problem
from rtil_jax.inversion.problems import over_images, settle
from rtil_jax.metrics import psnr as psnr_of


def draw_posterior(
    problem: Problem, found: PosteriorSamples, path: str, shown: int = 3
) -> None:
    """Writes a PNG with truth, measurement, mean and its PSNR, spread, and samples.

    White in the column of the spread is the largest standard deviation of any pixel,
    which the title states. Truth and PSNR are missing if the problem has no truth, and
    the measurement is missing if the operator has no `preview`.

    Args:
        problem: the problem that was solved.
        found: the samples.
        path: the PNG to write.
        shown: number of samples to show for each image.
    """
    height, width, channels = found.images.shape[2:]
    problem = settle(problem, (height, width, channels))
    spread = jnp.mean(found.std, axis=-1, keepdims=True)
    largest = float(jnp.max(spread))
    columns, psnr = {}, {}
    if problem.truth is not None:
        columns["truth"] = problem.truth
        mean, truth = ((np.clip(x, -1, 1) + 1) / 2 for x in (found.mean, problem.truth))
        psnr["mean"] = np.asarray(psnr_of(mean, truth))
    if hasattr(type(problem.operators), "preview"):
        columns["measurement"] = over_images(
            lambda operator, y: operator.preview(y), problem, problem.measurements
        )
    columns["mean"] = found.mean
    columns[f"spread (white: {largest:.2g})"] = 2 * spread / largest - 1
    for i in range(min(shown, found.images.shape[1])):
        columns[f"sample {i + 1}"] = found.images[:, i]
    image_grid(columns, path, psnr)
