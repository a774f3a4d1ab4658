"""Draws rows of samples, each with a name."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Array, Float

from rtil_jax.data.pixels import to_uint8
from rtil_jax.experiments.report.style import save_figure

CELL = 96  # Smaller images are enlarged to this number of pixels.
GAP, TEXT = 4, 22
DPI = 100


def labelled_rows(
    rows: Mapping[str, Float[Array | np.ndarray, "columns height width channels"]],
    path: str,
) -> None:
    """Writes images in [-1, 1] as a PNG, with the name of each row above it."""
    from matplotlib.figure import Figure  # Slow to import, so only when needed.

    pictures = {name: _side_by_side(to_uint8(images)) for name, images in rows.items()}
    width = max(picture.shape[1] for picture in pictures.values())
    height = sum(picture.shape[0] + TEXT for picture in pictures.values())
    figure, top = Figure(figsize=(width / DPI, height / DPI), dpi=DPI), height
    for name, picture in pictures.items():
        figure.text(0, (top - 0.3 * TEXT) / height, name, va="top", fontsize=9)
        top -= TEXT + picture.shape[0]
        figure.figimage(picture, 0, top)
    save_figure(figure, path)


def _side_by_side(images: np.ndarray) -> np.ndarray:
    """Joins images to an RGB picture `(height, width, 3)`, enlarging them."""
    scale = max(1, CELL // images.shape[1])
    large = images.repeat(scale, axis=1).repeat(scale, axis=2)
    framed = np.pad(large, [(0, 0), (0, 0), (0, GAP), (0, 0)], constant_values=255)
    row = np.concatenate(list(framed), axis=1)
    return np.broadcast_to(row, (*row.shape[:2], 3))
