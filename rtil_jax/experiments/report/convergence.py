"""Draws the measurement loss against the steps of an inversion, through all stages."""

import glob
import os
import warnings
import zipfile
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from rtil_jax.experiments.report.rows import Row, groups, names, sorted_results
from rtil_jax.experiments.report.style import (
    Axes,
    add_legend,
    count_text,
    line_styles,
    new_panels,
    problem_text,
    ratio_text,
    save_figure,
)

History = Float[np.ndarray, "records 3"]
KEY = ("image", "prior", "method", "problem", "ratio")


def plot_convergence(workdir: str) -> list[str]:
    """Draws `figures/convergence_{problem}.png`; returns the paths that it wrote.

    Each ratio has a panel with the median over images of the measurement loss, the band
    between its quartiles, and marks where stages begin. Iterates do not depend on the
    selection rule, so rules have no separate lines. (`held_out` is an exception; it is
    shown if there is no other rule.) Directories whose solutions have no history get no
    figure.

    Raises:
        UserError: if there are no results or they cannot be read.
    """
    histories = read_histories(workdir)
    rows = [row | {"select": ""} for row in sorted_results(workdir)]
    # Several rules for an image count once.
    found = [same[0] for key, same in groups(rows, *KEY).items() if key in histories]
    styles = line_styles(found)
    paths = []
    for (problem,), group in groups(found, "problem").items():
        figure, panels = new_panels(len(names(group, "ratio")))
        by_ratio = groups(group, "ratio").items()
        for axes, ((ratio,), panel) in zip(panels, by_ratio, strict=True):
            _draw_panel(axes, panel, histories, styles)
            setting = f"{problem_text(problem)}, {ratio_text(problem, ratio)}"
            count = count_text(panel, "prior", "method")
            axes.set_title(f"{setting}, {count}", fontsize=10)
        panels[0].set_ylabel("measurement loss, median and quartiles", fontsize=9)
        add_legend(figure)
        paths.append(os.path.join(workdir, "figures", f"convergence_{problem}.png"))
        os.makedirs(os.path.dirname(paths[-1]), exist_ok=True)
        save_figure(figure, paths[-1])
    return paths


def read_histories(workdir: str) -> dict[tuple, History]:
    """Reads stage, step and loss of each record of each reconstruction.

    The result is {(image, prior, method, problem, ratio): history}.
    """
    found = {}
    pattern = os.path.join(glob.escape(workdir), "solutions", "*.npz")
    for path in sorted(glob.glob(pattern)):
        try:
            with np.load(path, allow_pickle=False) as file:
                if "fact:history" in file.files:
                    key = tuple(file[f"fact:{name}"].item() for name in KEY)
                    found[key] = file["fact:history"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            warnings.warn(f"{path}: left out of the curves ({error})", stacklevel=2)
    return found


def total_steps(history: History) -> Float[np.ndarray, " records"]:
    """Returns the step of each record, counted from the first stage."""
    stages, index = np.unique(history[:, 0], return_inverse=True)
    lengths = [history[history[:, 0] == stage, 1].max() for stage in stages]
    return history[:, 1] + np.cumsum([0, *lengths])[index]


def stage_starts(history: History) -> Float[np.ndarray, " stages"]:
    """Returns the steps where stages begin, without the first."""
    return total_steps(history)[1:][np.diff(history[:, 0]) > 0]


def loss_quartiles(
    histories: Sequence[History],
) -> tuple[Float[np.ndarray, " steps"], Float[np.ndarray, "3 steps"]]:
    """Returns the recorded steps, and the quartiles of the images' losses at each.

    Losses without a logarithm, such as those of diverged images, are left out. If none
    is left, the quartiles are NaN.
    """
    steps = [total_steps(history) for history in histories]
    grid = np.unique(np.concatenate(steps))
    losses = np.full((len(histories), len(grid)), np.nan)
    for row, (at, history) in enumerate(zip(steps, histories, strict=True)):
        losses[row, np.searchsorted(grid, at)] = history[:, 2]
    losses[~(np.isfinite(losses) & (losses > 0))] = np.nan
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return grid, np.nanquantile(losses, (0.25, 0.5, 0.75), axis=0)


def _draw_panel(
    axes: Axes,
    rows: Sequence[Row],
    histories: Mapping[tuple, History],
    styles: Mapping[tuple, dict],
) -> None:
    lines = {}
    for key, group in groups(rows, "prior", "method", "select").items():
        records = [histories[tuple(row[name] for name in KEY)] for row in group]
        lines[key] = loss_quartiles(records), stage_starts(records[0])
    shared = len({tuple(starts) for _, starts in lines.values()}) == 1
    for key, ((steps, (lower, median, upper)), starts) in lines.items():
        style = styles[key] | ({"marker": ""} if shared else {})
        axes.fill_between(steps, lower, upper, color=style["color"], alpha=0.15, lw=0)
        # If stages begin at different steps, the marks are on the lines.
        marked = [] if shared else np.searchsorted(steps, starts).tolist()
        # Methods with equal first stages overlap; the shorter line is on top.
        order = {"zorder": 2 + 1 / (1 + steps[-1])}
        axes.plot(steps, median, **style, **order, markevery=marked, linewidth=1.5)
    for start in starts if shared else ():
        axes.axvline(start, color="black", linestyle=":", linewidth=0.8)
    mark = "dotted lines" if shared else "markers"
    several = any(len(starts) for _, starts in lines.values())
    axes.set_xlabel(f"step{f' ({mark}: a new stage)' if several else ''}", fontsize=9)
    axes.set_yscale("log")
    axes.grid(alpha=0.3)
