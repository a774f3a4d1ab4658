"""Tables, figures and the page of results."""

from rtil_jax.report.convergence import plot_convergence
from rtil_jax.report.curves import plot_curves
from rtil_jax.report.page import write_page
from rtil_jax.report.pictures import MAX_GRID_ROWS, image_grid, sample_grid
from rtil_jax.report.published import PUBLISHED
from rtil_jax.report.rows import Row, read_results
from rtil_jax.report.samples import labelled_rows
from rtil_jax.report.style import COLOURS, DPI
from rtil_jax.report.tables import write_summary

__all__ = [
    "COLOURS",
    "DPI",
    "MAX_GRID_ROWS",
    "PUBLISHED",
    "Row",
    "image_grid",
    "labelled_rows",
    "plot_convergence",
    "plot_curves",
    "read_results",
    "sample_grid",
    "write_page",
    "write_summary",
]
