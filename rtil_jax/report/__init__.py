"""Tables and pictures of results."""

from rtil_jax.report.figures import (
    COLOURS,
    DPI,
    MAX_GRID_ROWS,
    image_grid,
    plot_curves,
    sample_grid,
)
from rtil_jax.report.samples import labelled_rows
from rtil_jax.report.tables import Row, read_results, write_summary

__all__ = [
    "COLOURS",
    "DPI",
    "MAX_GRID_ROWS",
    "Row",
    "image_grid",
    "labelled_rows",
    "plot_curves",
    "read_results",
    "sample_grid",
    "write_summary",
]
