"""Pictures of results: curves, grids of images, samples."""

import math
import os
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Array, Float
from PIL import Image

from rtil_jax.data.pixels import to_uint8
from rtil_jax.metrics import confidence_interval
from rtil_jax.operators.ratios import RATIO_LABELS, RECIPROCALS
from rtil_jax.report.tables import Row, groups, present_values, sorted_results

Images = Float[Array | np.ndarray, "n height width channels"]

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P")
LINE_STYLES = ("-", "--", ":", "-.")
DPI = 150
MAX_GRID_ROWS = 8
GRID_CELL = 256  # Pixels that smaller images are enlarged to in a grid.


def _figure(width: float, height: float):
    """A matplotlib figure in inches, not pyplot's: it needs no backend or state."""
    from matplotlib.figure import Figure  # Slow to import, so only when needed.

    return Figure(figsize=(width, height), dpi=DPI)


def plot_curves(workdir: str) -> list[str]:
    """Draws `figures/{problem}_psnr.png`, PSNR against ratio; returns their paths.

    Raises:
        UserError: if there are no results or they cannot be read.
    """
    rows, priors = sorted_results(workdir)
    colours = {p: COLOURS[i % len(COLOURS)] for i, p in enumerate(priors)}
    os.makedirs(os.path.join(workdir, "figures"), exist_ok=True)
    paths = []
    for (problem,), group in groups(rows, "problem").items():
        figure = _figure(6.0, 4.0)
        figure.set_layout_engine("constrained")
        axes = figure.subplots()
        _draw_curves(axes, group, colours)
        _label_axes(axes, problem, group)
        paths.append(os.path.join(workdir, "figures", f"{problem}_psnr.png"))
        figure.savefig(paths[-1])
    return paths


def _draw_curves(axes, rows: Sequence[Row], colours: Mapping[str, str]) -> None:
    """One line per prior, method and selection rule; 95 % intervals as bars."""
    varied = [c for c in ("method", "select") if len(groups(rows, c)) > 1]
    settings = list(groups(rows, "method", "select"))
    lines = groups(rows, "prior", "method", "select")
    step = 0.01 * (math.log(rows[-1]["ratio"] / rows[0]["ratio"]) or 1)
    for index, ((prior, *setting), line) in enumerate(lines.items()):
        by_ratio = groups(line, "ratio")
        intervals = [
            confidence_interval(present_values(g, "psnr")) for g in by_ratio.values()
        ]
        means, halves = np.array(intervals).T
        style = settings.index(tuple(setting))
        # Side by side, so that the bars of one ratio do not cover each other.
        shift = math.exp(step * (index - (len(lines) - 1) / 2))
        axes.errorbar(
            [ratio * shift for (ratio,) in by_ratio],
            means,
            np.nan_to_num(halves),
            label=", ".join([prior, *(line[0][column] for column in varied)]),
            color=colours[prior],
            marker=MARKERS[style % len(MARKERS)],
            linestyle=LINE_STYLES[style % len(LINE_STYLES)],
            capsize=3,
        )


def _label_axes(axes, problem: str, rows: Sequence[Row]) -> None:
    """Ticks at the measured ratios, and words."""
    ratios = [ratio for (ratio,) in groups(rows, "ratio")]
    fractions = problem in RECIPROCALS
    if fractions or ratios[-1] > 10 * ratios[0]:
        axes.set_xscale("log")
    names = [f"1/{1 / r:g}" if fractions else f"{100 * r:g}" for r in ratios]
    axes.set_xticks(ratios, names)
    axes.set_xticks([], minor=True)
    title = f"{problem.replace('_', ' ')}, {len(groups(rows, 'image'))} images"
    xlabel = RATIO_LABELS.get(problem, "ratio (%)")
    axes.set(title=title, xlabel=xlabel, ylabel="PSNR (dB), mean and 95 % CI")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


def image_grid(
    columns: Mapping[str, Images],
    path: str,
    psnr: Mapping[str, Sequence[float] | Float[Array | np.ndarray, " n"]] | None = None,
) -> None:
    """Draws up to 8 images per column side by side, enlarged by a whole number.

    Args:
        columns: title -> images in [-1, 1], all of one shape: the truth, the
            measurement (`Operator.preview`), reconstructions.
        path: of the PNG.
        psnr: title -> PSNR in dB of each image, printed below it.
    """
    pixels = {title: to_uint8(x[:MAX_GRID_ROWS]) for title, x in columns.items()}
    rows, height, width, _ = next(iter(pixels.values())).shape
    scale = max(1, GRID_CELL // max(height, width))
    height, width, gap, text = height * scale, width * scale, 8, 40
    pitch = height + (text if psnr else gap)
    size = np.array([len(pixels) * (width + gap) + gap, text + rows * pitch])
    figure = _figure(*size / DPI)
    for column, (title, images) in enumerate(pixels.items()):
        for row, image in enumerate(images):
            left, top = gap + column * (width + gap), text + row * pitch
            corner = left, size[1] - top - height
            axes = figure.add_axes([*corner / size, *(width, height) / size])
            axes.set_axis_off()
            rgb = np.broadcast_to(image, (*image.shape[:2], 3))
            axes.imshow(rgb, interpolation="nearest")
            if row == 0:
                axes.set_title(title, fontsize=10)
            if title in (psnr or ()):
                value, at = f"{psnr[title][row]:.2f} dB", (0.5, -4 / height)
                axes.text(*at, value, transform=axes.transAxes, ha="center", va="top")
    figure.savefig(path)


def sample_grid(
    rows: Float[Array | np.ndarray, "rows columns height width channels"], path: str
) -> None:
    """Writes samples in [-1, 1] as a PNG, pixel for pixel with gaps of two."""
    gaps = [(0, 0), (0, 0), (0, 2), (0, 2), (0, 0)]
    pixels = np.pad(to_uint8(rows), gaps, constant_values=255)
    count, columns, height, width, channels = pixels.shape
    grid = pixels.swapaxes(1, 2).reshape(count * height, columns * width, channels)
    grid = grid[:-2, :-2]  # the last gaps are margins
    Image.fromarray(grid[..., 0] if channels == 1 else grid).save(path)
