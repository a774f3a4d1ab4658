"""Writes tables, figures and the page `report.html` of results."""

from rtil_jax.experiments.report.convergence import plot_convergence
from rtil_jax.experiments.report.coverage import draw_coverage
from rtil_jax.experiments.report.curves import plot_curves, plot_differences
from rtil_jax.experiments.report.page import write_page
from rtil_jax.experiments.report.pictures import MAX_GRID_ROWS, image_grid, sample_grid
from rtil_jax.experiments.report.posterior_picture import draw_posterior
from rtil_jax.experiments.report.published import PUBLISHED
from rtil_jax.experiments.report.rows import Row, read_results
from rtil_jax.experiments.report.samples import labelled_rows
from rtil_jax.experiments.report.shown import save_shown
from rtil_jax.experiments.report.style import COLOURS, DPI
from rtil_jax.experiments.report.tables import write_summary

__all__ = [
    "COLOURS",
    "DPI",
    "MAX_GRID_ROWS",
    "PUBLISHED",
    "Row",
    "draw_coverage",
    "draw_posterior",
    "image_grid",
    "labelled_rows",
    "plot_convergence",
    "plot_curves",
    "plot_differences",
    "read_results",
    "sample_grid",
    "save_shown",
    "write_page",
    "write_summary",
]
