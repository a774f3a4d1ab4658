"""Draws coverage curves: how often intervals contain the true value."""

from collections.abc import Mapping
from typing import Any

from rtil_jax.experiments.report.style import (
    COLOURS,
    LINE_STYLES,
    MARKERS,
    add_legend,
    new_panels,
    save_figure,
)


def draw_coverage(curves: Mapping[str, tuple[Any, Any]], path: str) -> None:
    """Writes a PNG with a line for each {label: (levels, shares)}.

    A calibrated posterior lies on the diagonal.
    """
    figure, (axes,) = new_panels(1)
    axes.plot((0, 1), (0, 1), color="silver", linewidth=1, label="calibrated")
    for number, (label, (levels, shares)) in enumerate(curves.items()):
        look = {
            "color": COLOURS[number % len(COLOURS)],
            "marker": MARKERS[number % len(MARKERS)],
            "linestyle": LINE_STYLES[number % len(LINE_STYLES)],
        }
        axes.plot(levels, shares, label=label, markersize=4, **look)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel("level of the interval", fontsize=9)
    axes.set_ylabel("share of pixels within it", fontsize=9)
    add_legend(figure)
    save_figure(figure, path)
