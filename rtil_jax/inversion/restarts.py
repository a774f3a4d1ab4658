"""Several starts of each image: which is the best, and how far they are apart.

The starts of an image lie side by side: row `restarts * image + start`.
"""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from rtil_jax.inversion.solutions import Solution


def best_restarts(
    losses: Float[np.ndarray, " starts"], restarts: int
) -> Int[np.ndarray, " batch"]:
    """The row of each image's lowest loss."""
    table = np.nan_to_num(losses, nan=np.inf).reshape(-1, restarts)
    return restarts * np.arange(len(table)) + table.argmin(axis=1)


def spread_of(
    draw: Callable[[Solution], Array], solution: Solution, batch: int, restarts: int
) -> Float[np.ndarray, "batch height width channels"] | None:
    """Standard deviation of each pixel over the starts; None of a single one.

    Args:
        draw: the images of a solution of `batch` rows.
        solution: of all starts.
        batch: the number of images.
        restarts: of starts per image.
    """
    if restarts == 1:
        return None

    def images(start: int) -> np.ndarray:
        rows = restarts * np.arange(batch) + start
        return np.asarray(draw(jax.tree.map(lambda x: x[rows], solution)))

    # Start by start, by the program that draws the images that are returned.
    return np.std([images(start) for start in range(restarts)], axis=0, ddof=1)
