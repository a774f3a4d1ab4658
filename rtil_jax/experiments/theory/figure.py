"""Draws the figure of Lemma 5.2: both errors and the bound against m."""

from collections.abc import Sequence

import numpy as np

from rtil_jax.experiments.report import COLOURS
from rtil_jax.experiments.report.style import Axes, new_figure, save_figure
from rtil_jax.experiments.theory.error_table import ErrorRow

# Model -> colour, marker and label.
STYLES = {"vanilla": (COLOURS[0], "o", "vanilla"), "rtil": (COLOURS[1], "s", "RTIL")}


def draw_errors(rows: Sequence[ErrorRow], num_features: int, path: str) -> None:
    """Draws the mean errors of `results.csv` with bars of two standard errors.

    The left panel has a linear axis, which separates vanilla from the bounds; the right
    one has a logarithmic axis, which shows that RTIL's error is zero.

    Args:
        rows: the rows of both models, each solved in both ways.
        num_features: n_1; Lemma 5.2 holds from this number of measurements.
        path: the PNG to write.
    """
    figure = new_figure(9.0, 4.5)
    figure.set_layout_engine("constrained")
    linear, logarithmic = figure.subplots(ncols=2)
    for axes in (linear, logarithmic):
        _draw_bounds(axes, rows, num_features)
        for model in STYLES:
            for solved_by in ("closed_form", "gradient_descent"):
                kind = model, solved_by
                line = [row for row in rows if (row.model, row.solved_by) == kind]
                _draw_line(axes, line)
        axes.set(xlabel="measurements m")
        axes.grid(alpha=0.3)
    within = [row for row in rows if row.measurements >= num_features]
    # Errors grow without limit towards m = n_0, which would hide the rest.
    linear.set_ylim(0, 2 * max(row.mean_error for row in within))
    linear.set_ylabel(r"mean of $\|x - \tilde G(\hat z_0, \hat z_1)\|^2$")
    logarithmic.set_yscale("log")
    handles = linear.get_legend_handles_labels()
    figure.legend(
        *handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8
    )
    save_figure(figure, path)


def _draw_bounds(axes: Axes, rows: Sequence[ErrorRow], num_features: int) -> None:
    """Draws both bounds, and shades the region that the lemma does not cover."""
    fewest = min(row.measurements for row in rows)
    if fewest < num_features:
        label = "$m < n_1$: not in the lemma"
        axes.axvspan(fewest, num_features, color="0.92", label=label)
    sharper = rows[0].sharper_bound
    axes.axhline(sharper, color="0.4", ls=":", label="sharper bound, in its proof")
    axes.axhline(rows[0].bound, color="black", ls="--", label="bound (8)")


def _draw_line(axes: Axes, rows: Sequence[ErrorRow]) -> None:
    """Draws a line for closed forms, and hollow marks for gradient descent."""
    colour, marker, name = STYLES[rows[0].model]
    exact = rows[0].solved_by == "closed_form"
    rows = sorted(rows, key=lambda row: row.measurements)
    mean = np.array([row.mean_error for row in rows])
    bar = 2 * np.array([row.standard_error for row in rows])
    axes.errorbar(
        [row.measurements for row in rows],
        mean,
        # On a logarithmic axis a bar must stay above 0.
        [np.minimum(bar, 0.9 * mean), bar],
        label=f"{name}, {'closed form' if exact else 'gradient descent'}",
        color=colour,
        marker=marker,
        markersize=4 if exact else 9,
        markerfacecolor=colour if exact else "none",
        linestyle="-" if exact else "none",
        capsize=2,
    )
