"""Several restarts of each image: picks the best, and measures how far they differ.

The restarts of an image are neighbours: row `restarts * image + start`.
"""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from rtil_jax.inversion.solutions import Solution


def best_restarts(
    losses: Float[np.ndarray, " starts"], restarts: int
) -> Int[np.ndarray, " batch"]:
    """Returns, for each image, the row of the restart with the lowest loss."""
    table = np.nan_to_num(losses, nan=np.inf).reshape(-1, restarts)
    return restarts * np.arange(len(table)) + table.argmin(axis=1)


def spread_of(
    draw: Callable[[Solution], Array], solution: Solution, batch: int, restarts: int
) -> Float[np.ndarray, "batch height width channels"] | None:
    """Returns the standard deviation of each pixel over the restarts; None for one.

    Args:
        draw: renders a solution with `batch` rows to images.
        solution: the solution of all restarts, with `batch * restarts` rows.
        batch: the number of images.
        restarts: the number of restarts per image.
    """
    if restarts == 1:
        return None

    def images(start: int) -> np.ndarray:
        rows = restarts * np.arange(batch) + start
        return np.asarray(draw(jax.tree.map(lambda x: x[rows], solution)))

    # One restart at a time, with the program that also draws the returned images.
    return np.std([images(start) for start in range(restarts)], axis=0, ddof=1)
