"""How good an ensemble is as a forecast of the truth: its calibration and its score.

An ensemble is some draws of each image, such as `posterior_samples` returns:

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
    """Continuous ranked probability score, E|X - x| - E|X - X'| / 2; lower is better.

    The mean over the pixels of an image. X and X' are different draws, so that it is
    unbiased for any number of them (Ferro 2014). Of one value in place of an ensemble
    it would be the mean absolute error, and it is in the units of the images.

    >>> import numpy as np
    >>> draws = np.array([0, 1], np.float32).reshape(1, 2, 1, 1, 1)  # of one pixel
    >>> print(crps(draws, np.full((1, 1, 1, 1), 2, np.float32)))
    [1.]

    Args:
        samples: `(batch, samples, ...)`, at least two of each image.
        truth: x, `(batch, ...)`.

    Raises:
        UserError: for other shapes, or numbers that are not finite.
    """
    samples, truth = _checked("crps", samples, truth)
    count = samples.shape[1]
    error = jnp.mean(jnp.abs(samples - truth[:, None]), axis=1)
    # sum over pairs of |x_i - x_j|, by their order.
    weights = 2 * jnp.arange(count, dtype=jnp.float32) - (count - 1)
    ordered = jnp.moveaxis(jnp.sort(samples, axis=1), 1, -1)
    spread = jnp.matmul(ordered, weights, precision="highest")
    score = error - spread / (count * (count - 1))
    return jnp.mean(score.reshape(len(score), -1), axis=1)


def coverage(
    samples: Any, truth: Any
) -> tuple[Float[np.ndarray, " levels"], Float[Array, "batch levels"]]:
    """How often central intervals of the ensemble hold the truth: a coverage curve.

    Of n draws, the interval from the k-th lowest to the k-th highest holds the truth
    with probability (n + 1 - 2 k) / (n + 1) if truth and draws have one distribution,
    whatever that is. Below the level, the ensemble is too sure of itself.

    Args:
        samples: `(batch, samples, ...)`, at least two of each image.
        truth: `(batch, ...)`.

    Returns:
        The levels, decreasing, and for each image the share of its pixels that are
        within the interval of that level.

    Raises:
        UserError: for other shapes, or numbers that are not finite.
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
            "height, width, channels), at least 2 samples of each image"
        )
    expected = samples.shape[:1] + samples.shape[2:]
    if truth.shape != expected:
        raise UserError(
            f"{name}: truth: found shape {truth.shape}, expected {expected}, as of the "
            "samples without their second axis"
        )
    return samples, truth
