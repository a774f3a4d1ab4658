"""Draws quality against the ratio of measurements, in the layout of the paper."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rtil_jax.experiments.report.findings import differences
from rtil_jax.experiments.report.published import (
    PUBLISHED_PRIORS,
    Value,
    published_curves,
)
from rtil_jax.experiments.report.rows import (
    Row,
    groups,
    names,
    present_values,
    sorted_results,
)
from rtil_jax.experiments.report.style import (
    LINE_STYLES,
    MARKERS,
    Axes,
    add_legend,
    count_text,
    line_styles,
    new_panels,
    problem_text,
    ratio_text,
    save_figure,
)
from rtil_jax.metrics import confidence_interval
from rtil_jax.operators.ratios import RATIO_LABELS, RECIPROCALS

# Metric -> the label of its axis.
AXES = {
    "psnr": "PSNR (dB)",
    "ssim": "SSIM (1 is the truth)",
    "lpips": "LPIPS (lower is better)",
}
TICK_GAP = 0.09  # share of the axis between ticks, so that their numbers do not touch
ROOM = 16.0  # width for the lines at one ratio, in points of 1/72 inch
MUTED = "#757575"


def plot_curves(workdir: str, published: str = "") -> list[str]:
    """Draws `figures/{psnr,ssim,lpips}.png`; returns the paths that it wrote.

    The layout is that of the paper's Figures 4, 11, 12 (ILO) and 5, 14, 15
    (mGANprior): a panel per problem, means with 95 % intervals. A metric that no image
    has is left out. The published curves can be added, at their own ratios; between
    these, compare with the line that connects their points.

    Args:
        workdir: the directory with `results.csv`.
        published: also draw the published PSNR of `ilo` or `mganprior`; "" for none.

    Raises:
        UserError: if there are no results or they cannot be read, or if there are no
            published curves of that name.
    """
    rows, known = sorted_results(workdir), published_curves(published)
    styles = line_styles(rows)
    os.makedirs(os.path.join(workdir, "figures"), exist_ok=True)
    paths = []
    for metric, label in AXES.items():
        present = [row for row in rows if not math.isnan(row[metric])]
        if not present:
            continue
        problems = groups(present, "problem")
        figure, panels = new_panels(len(problems))
        for axes, ((problem,), group) in zip(panels, problems.items(), strict=True):
            curve = known.get(problem, {}) if metric == "psnr" else {}
            room = ROOM if len({*names(group, "ratio"), *curve}) > 1 else 10 * ROOM
            _draw_means(axes, group, metric, styles, room)
            _draw_published(axes, curve)
            _label_axes(axes, problem, group, curve)
        panels[0].set_ylabel(f"{label}\nmean and 95 % CI")
        add_legend(figure)
        paths.append(os.path.join(workdir, "figures", f"{metric}.png"))
        save_figure(figure, paths[-1])
    return paths


def plot_differences(workdir: str) -> list[str]:
    """Draws `figures/differences.png`: paired differences of PSNR against the ratio.

    It draws nothing for a single prior and method, or without true images.

    Raises:
        UserError: if there are no results or they cannot be read.
    """
    rows = differences(sorted_results(workdir))
    if not rows:
        return []
    styles, problems = line_styles(rows), groups(rows, "problem")
    figure, panels = new_panels(len(problems))
    for axes, ((problem,), group) in zip(panels, problems.items(), strict=True):
        room = ROOM if len(names(group, "ratio")) > 1 else 10 * ROOM
        axes.axhline(0, color=MUTED, linewidth=0.8)
        _draw_means(axes, group, "psnr", styles, room)
        _label_axes(axes, problem, group, ())
    panels[0].set_ylabel("difference of PSNR (dB)\nmean and 95 % CI, paired")
    add_legend(figure)
    path = os.path.join(workdir, "figures", "differences.png")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    save_figure(figure, path)
    return [path]


def _draw_means(
    axes: Axes,
    rows: Sequence[Row],
    metric: str,
    styles: Mapping[tuple, dict],
    room: float,
) -> None:
    """Draws a line per prior, method and selection rule; 95 % intervals are bars."""
    lines = groups(rows, "prior", "method", "select")
    # Side by side, so that the bars of one ratio do not cover each other.
    step = min(room / 5, room / len(lines))
    for index, (key, line) in enumerate(lines.items()):
        by_ratio = groups(line, "ratio")
        intervals = [
            confidence_interval(present_values(group, metric))
            for group in by_ratio.values()
        ]
        means, halves = np.array(intervals).T
        ratios = [ratio for (ratio,) in by_ratio]
        place = _moved(axes, step * (index - (len(lines) - 1) / 2))
        # A mean over one image has no interval: its half-width is NaN, without a bar.
        bars = {"transform": place, "capsize": 3, "linewidth": 1.5}
        axes.errorbar(ratios, means, halves, **styles[key], **bars)
        # Moved artists do not count for the limits of the axes, so set these first.
        reach = np.nan_to_num(halves)
        axes.update_datalim(np.stack([ratios, means - reach], axis=1))
        axes.update_datalim(np.stack([ratios, means + reach], axis=1))
    axes.margins(x=0.08)


def _moved(axes: Axes, points: float) -> Any:
    """Returns the transform of the data, moved to the right by some points."""
    from matplotlib.transforms import ScaledTranslation  # see `Axes`

    inches = axes.figure.dpi_scale_trans
    return axes.transData + ScaledTranslation(points / 72, 0, inches)


def _draw_published(axes: Axes, curve: Mapping[float, tuple[Value, Value]]) -> None:
    """Draws thin grey lines behind the others."""
    for index, prior in enumerate(PUBLISHED_PRIORS if curve else ()):
        mean, lower, upper = np.array([values[index] for values in curve.values()]).T
        axes.errorbar(
            list(curve),
            mean,
            (mean - lower, upper - mean),
            label=f"{prior}, published\n(256 px faces, digitised)",
            color=MUTED,
            linestyle=LINE_STYLES[index],  # dashes are for vanilla
            marker=MARKERS[index],
            markersize=3,
            linewidth=0.8,
            zorder=1,
        )


def _label_axes(
    axes: Axes, problem: str, rows: Sequence[Row], also: Iterable[float]
) -> None:
    """Adds ticks at the measured ratios and at `also`, and labels."""
    measured = names(rows, "ratio")
    ratios = sorted({*measured, *also})
    position = np.array(ratios)
    if problem in RECIPROCALS or ratios[-1] > 10 * ratios[0]:
        axes.set_xscale("log")
        position = np.log(position)
    position = (position - position[0]) / (np.ptp(position) or 1)
    shown: dict[float, float] = {}
    pairs = zip(ratios, position, strict=True)
    for ratio, at in sorted(pairs, key=lambda pair: pair[0] not in measured):
        if all(abs(at - other) > TICK_GAP for other in shown.values()):
            shown[ratio] = at
    text = [ratio_text(problem, r, "") if r in shown else "" for r in ratios]
    axes.set_xticks(ratios, text)
    axes.set_xticks([], minor=True)
    if len(ratios) == 1:
        axes.set_xlim(0.75 * ratios[0], 1.25 * ratios[0])
    count = count_text(rows, "ratio", "prior", "method", "select")
    axes.set_title(f"{problem_text(problem)}, {count}", fontsize=10)
    axes.set_xlabel(RATIO_LABELS.get(problem, "ratio (%)"), fontsize=9)
    axes.grid(alpha=0.3)
