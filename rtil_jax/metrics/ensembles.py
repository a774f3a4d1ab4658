"""Scores an ensemble as a forecast of the truth: its calibration and its CRPS.

An ensemble has several samples of each image, as `posterior_samples` returns them:

    crps(found.images, problem.truth)
    levels, covered = coverage(found.images, problem.truth)
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rtil_jax.arrays import TO_FLOAT, as_floats
from rtil_jax.errors import UserError


def crps(samples: Any, truth: Any) -> Float[Array, " batch"]:
    """Returns the continuous ranked probability score; lower is better.

    It is E|X - x| - E|X - X'| / 2, averaged over the pixels of an image. X and X' are
    different samples, so it is unbiased for any number of samples (Ferro 2014). It has
    the units of the images; for a single value in place of an ensemble it would be the
    mean absolute error.

    >>> import numpy as np
    >>> draws = np.array([0, 1], np.float32).reshape(1, 2, 1, 1, 1)  # of one pixel
    >>> print(crps(draws, np.full((1, 1, 1, 1), 2, np.float32)))
    [1.]

    Args:
        samples: `(batch, samples, height, width, channels)`, at least two samples.
        truth: x, `(batch, height, width, channels)`.

    Raises:
        UserError: if the shapes are wrong, or numbers are not finite.
    """
    samples, truth = _checked("crps", samples, truth)
    count = samples.shape[1]
    error = jnp.mean(jnp.abs(samples - truth[:, None]), axis=1)
    # The sum over pairs of |x_i - x_j|, from the sorted samples.
    weights = 2 * jnp.arange(count, dtype=jnp.float32) - (count - 1)
    ordered = jnp.moveaxis(jnp.sort(samples, axis=1), 1, -1)
    spread = jnp.matmul(ordered, weights, precision="highest")
    score = error - spread / (count * (count - 1))
    return jnp.mean(score.reshape(len(score), -1), axis=1)


def coverage(
    samples: Any, truth: Any
) -> tuple[Float[np.ndarray, " levels"], Float[Array, "batch levels"]]:
    """Returns how often central intervals of the ensemble contain the truth.

    With n samples, the interval from the k-th lowest to the k-th highest contains the
    truth with probability (n + 1 - 2 k) / (n + 1), its level, if truth and samples have
    the same distribution. If the share is below the level, the ensemble is
    overconfident.

    Args:
        samples: `(batch, samples, height, width, channels)`, at least two samples.
        truth: `(batch, height, width, channels)`.

    Returns:
        The levels, in decreasing order, and for each image the share of its pixels
        within the interval of each level.

    Raises:
        UserError: if the shapes are wrong, or numbers are not finite.
    """
    samples, truth = _checked("coverage", samples, truth)
    count = samples.shape[1]
    k = np.arange(1, count // 2 + 1)
    below = jnp.sum(samples < truth[:, None], axis=1).reshape(len(truth), -1, 1)
    above = jnp.sum(samples > truth[:, None], axis=1).reshape(len(truth), -1, 1)
    within = jnp.minimum(count - below, count - above) >= k.reshape(1, 1, -1)
    return (count + 1 - 2 * k) / (count + 1), jnp.mean(jnp.float32(within), axis=1)


def _checked(name: str, samples: Any, truth: Any) -> tuple[Array, Array]:
    samples = as_floats(f"{name}: samples", samples, TO_FLOAT, complex_too=False)
    truth = as_floats(f"{name}: truth", truth, TO_FLOAT, complex_too=False)
    if samples.ndim < 3 or samples.shape[1] < 2:
        raise UserError(
            f"{name}: samples: found shape {samples.shape}, expected (batch, samples, "
            "height, width, channels) with at least 2 samples"
        )
    expected = samples.shape[:1] + samples.shape[2:]
    if truth.shape != expected:
        raise UserError(
            f"{name}: truth: found shape {truth.shape}, expected {expected}, the shape "
            "of the samples without their second axis"
        )
    return samples, truth
