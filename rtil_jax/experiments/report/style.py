"""The style of all figures: panels, lines and legend."""

import math
import re
from collections.abc import Sequence
from typing import Any

from rtil_jax.experiments.report.rows import Row, groups, names
from rtil_jax.files import replacing
from rtil_jax.operators.ratios import RECIPROCALS

# A class of matplotlib, which is slow to import and so is imported only when needed.
Figure = Any
Axes = Any
# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P")
LINE_STYLES = ("-", "--", ":", "-.")
VANILLA_SHAPE = 1  # index of the marker and line of vanilla
FILLS = (None, "white", "silver")  # None: the colour of the line
DPI = 150
# Sizes in inches.
PANEL = 3.7, 3.2
LEAST_WIDTH = 5.0
PANELS_PER_LINE = 3


def new_figure(width: float, height: float) -> Figure:
    """Makes a matplotlib figure with a size in inches; it does not use pyplot."""
    import matplotlib.figure  # see `Figure`

    return matplotlib.figure.Figure(figsize=(width, height), dpi=DPI)


def save_figure(figure: Figure, path: str) -> None:
    """Writes a figure as a PNG, replacing the file in one step."""
    with replacing(path, "wb") as file:
        figure.savefig(file)


def new_panels(count: int) -> tuple:
    """Makes a figure with `count` axes side by side; returns it and the axes."""
    columns = min(count, PANELS_PER_LINE)
    lines = math.ceil(count / columns)
    figure = new_figure(max(columns * PANEL[0], LEAST_WIDTH), lines * PANEL[1])
    figure.set_layout_engine("constrained")
    panels = list(figure.subplots(lines, columns, squeeze=False).flat)
    for spare in panels[count:]:
        spare.set_axis_off()
    return figure, panels[:count]


def line_styles(rows: Sequence[Row]) -> dict[tuple, dict]:
    """Returns {(prior, method, select): matplotlib's style and label of its line}.

    The colour shows the method, or the prior if there is only one method. Line and
    marker show the prior; dashes are for vanilla. The filling of the marker shows the
    selection rule. Labels leave out what all lines have in common.
    """
    priors = sorted(names(rows, "prior"), key=lambda name: name != "vanilla")
    others = [name for name in priors if name != "vanilla"]
    shapes = {name: i + (i >= VANILLA_SHAPE) for i, name in enumerate(others)}
    shapes["vanilla"] = VANILLA_SHAPE
    rules = names(rows, "select")
    values = {"prior": priors, "method": names(rows, "method"), "select": rules}
    coloured = "method" if len(values["method"]) > 1 else "prior"
    varied = [column for column in values if len(values[column]) > 1] or ["prior"]
    styles = {}
    for key, (first, *_) in groups(rows, *values).items():
        words = first | {"select": f"select={first['select']}"}
        colour = values[coloured].index(first[coloured])
        # When the colours start again, the markers continue.
        shape = shapes[first["prior"]] + len(shapes) * (colour // len(COLOURS))
        styles[key] = {
            "color": COLOURS[colour % len(COLOURS)],
            "linestyle": LINE_STYLES[shape % len(LINE_STYLES)],
            "marker": MARKERS[shape % len(MARKERS)],
            "markersize": 5,
            "markerfacecolor": FILLS[rules.index(first["select"]) % len(FILLS)],
            "label": _literal(", ".join(words[column] for column in varied)),
        }
    return styles


def _literal(text: str) -> str:
    """Escapes text, so that matplotlib shows no mathematics and hides no entry."""
    return re.sub("^_", " _", text).replace("$", r"\$")


def add_legend(figure: Figure) -> None:
    """Adds a legend below all panels; the figure grows by its height."""
    entries: dict[str, Any] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    text = [line for label in entries for line in label.split("\n")]
    widest = 0.7 + 0.07 * max(map(len, text))  # inches of a line and its name
    fitting = max(1, int(figure.get_figwidth() / widest))
    # Only as many columns as needed, so that all are about equally long.
    columns = math.ceil(len(entries) / math.ceil(len(entries) / fitting))
    lines = math.ceil(len(text) / columns)
    figure.set_figheight(figure.get_figheight() + 0.1 + 0.2 * lines)
    figure.legend(
        entries.values(),
        entries,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=9,
    )


def problem_text(problem: str) -> str:
    """Returns the name of a problem in words."""
    return problem.replace("_", " ")


def ratio_text(problem: str, ratio: float, unit: str = " %") -> str:
    """Writes a ratio as a percentage, or as 1 / a whole number, as its problem needs.

    Args:
        problem: the name of the problem.
        ratio: in (0, 1].
        unit: what follows a percentage.
    """
    if problem in RECIPROCALS:
        return f"1/{1 / ratio:g}"
    return f"{100 * ratio:g}{unit}"


def count_text(rows: Sequence[Row], *settings: str) -> str:
    """Writes the number of images: `32 images`, or `8-32 images` if settings differ."""
    counts = sorted(len(group) for group in groups(rows, *settings).values())
    span = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]}-{counts[-1]}"
    return f"{span} image{'' if span == '1' else 's'}"
