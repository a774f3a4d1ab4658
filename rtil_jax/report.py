"""Tables and pictures of results: `results.csv` in, Markdown and PNG out."""

import csv
import math
import os
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Array, Float
from PIL import Image

from rtil_jax.data.pixels import to_uint8
from rtil_jax.errors import UserError
from rtil_jax.metrics import confidence_interval
from rtil_jax.operators.ratios import RATIO_LABELS, RECIPROCALS

Images = Float[Array | np.ndarray, "n height width channels"]
Row = dict[str, str | float]

TEXT_COLUMNS = ("image", "prior", "method", "problem", "select", "status")
NUMBER_COLUMNS = ("ratio", "psnr", "ssim", "lpips", "measurement_mse", "seconds")
# Column of results.csv -> heading and format of its mean.
METRICS = {
    "psnr": ("PSNR (dB)", ".2f"),
    "ssim": ("SSIM", ".4f"),
    "lpips": ("LPIPS", ".4f"),
    "measurement_mse": ("measurement MSE", ".2e"),
    "seconds": ("seconds per image", ".2f"),
}
SELECTION_RULES = {
    "last": "the last iterate is kept",
    "measurement": "the iterate with the lowest measurement loss is kept",
    "oracle": "the iterate closest to the true image is kept: an upper bound",
}
# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P")
LINE_STYLES = ("-", "--", ":", "-.")
DPI = 150
MAX_GRID_ROWS = 8
GRID_CELL = 256  # Pixels that smaller images are enlarged to in a grid.


def read_results(path: str) -> list[Row]:
    """The rows of a `results.csv`, numbers as floats and empty ones as nan.

    An unfinished last line, left by an interrupted run, is ignored with a warning.

    Raises:
        UserError: if the file, a column or a field is missing, or is not a number.
    """
    if not os.path.exists(path):
        raise UserError(f"{path}: not found, expected the results of an inversion")
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        lines = list(file)
    if lines and not lines[-1].endswith("\n"):
        warnings.warn(f"{path}: ignored the truncated last line", stacklevel=2)
        lines.pop()
    reader = csv.DictReader(lines)
    columns = reader.fieldnames or ()
    missing = [c for c in TEXT_COLUMNS + NUMBER_COLUMNS if c not in columns]
    if lines and missing:
        raise UserError(f"{path}: found no column {', '.join(missing)}")
    return [_parse(row, f"{path}, line {reader.line_num}") for row in reader]


def _parse(row: dict, where: str) -> Row:
    # DictReader files surplus fields under None, and None under missing ones.
    if None in row or None in row.values():
        raise UserError(f"{where}: expected as many fields as the header has")
    try:
        return row | {column: float(row[column] or "nan") for column in NUMBER_COLUMNS}
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _sorted_results(workdir: str) -> tuple[list[Row], list[str]]:
    """The results, sorted, and the priors: `vanilla` first, then as in the file."""
    path = os.path.join(workdir, "results.csv")
    rows = read_results(path)
    if not rows:
        raise UserError(f"{path}: found no results, expected one line per image")
    priors = [name for (name,) in _groups(rows, "prior")]
    priors.sort(key=lambda name: name != "vanilla")

    def order(row):
        setting = (row["problem"], row["ratio"], row["method"], row["select"])
        return *setting, priors.index(row["prior"])

    return sorted(rows, key=order), priors


def _groups(rows: Sequence[Row], *columns: str) -> dict[tuple, list[Row]]:
    """Rows by their values in `columns`, in order of appearance."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in columns), []).append(row)
    return groups


def _values(rows: Sequence[Row], metric: str) -> list[float]:
    """The values of a column, less those that are missing."""
    return [row[metric] for row in rows if not math.isnan(row[metric])]


def _mean_interval(rows: Sequence[Row], metric: str, sign: str = "") -> str:
    """`mean ± half-width` over the images that have the metric."""
    values, (_, spec) = _values(rows, metric), METRICS[metric]
    if not values:
        return "n/a"
    mean, half = confidence_interval(values)
    interval = "n/a" if math.isnan(half) else format(half, spec)
    count = f" (n={len(values)})" if len(values) < len(rows) else ""
    return f"{mean:{sign}{spec}} ± {interval}{count}"


def _table(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *body]
    return ["", *("| " + " | ".join(cells) + " |" for cells in lines), ""]


def _means_table(rows: Sequence[Row]) -> list[str]:
    body = []
    settings = _groups(rows, "ratio", "prior", "method", "select")
    for (ratio, *names), group in settings.items():
        means = [_mean_interval(group, metric) for metric in METRICS]
        failed = sum(row["status"] != "ok" for row in group)
        body.append([f"{ratio:g}", *names, str(len(group)), *means, str(failed)])
    headings = [heading for heading, _ in METRICS.values()]
    keys = ["ratio", "prior", "method", "select", "n"]
    return _table([*keys, *headings, "not ok"], body)


def _paired_table(rows: Sequence[Row]) -> list[str]:
    """Differences to the first prior, image by image; [] without pairs."""
    metrics = [metric for metric in METRICS if metric != "seconds"]
    body = []
    for (ratio, *names), setting in _groups(rows, "ratio", "method", "select").items():
        (reference, base), *others = _groups(setting, "prior").items()
        base = {row["image"]: row for row in base}
        for other, group in others:
            pairs = [(row, base[row["image"]]) for row in group if row["image"] in base]
            if pairs:
                differences = [{m: a[m] - b[m] for m in metrics} for a, b in pairs]
                means = [_mean_interval(differences, m, sign="+") for m in metrics]
                label = f"{other[0]} − {reference[0]}"
                body.append([f"{ratio:g}", label, *names, str(len(pairs)), *means])
    headings = [METRICS[metric][0] for metric in metrics]
    table = _table(["ratio", "difference", "method", "select", "n", *headings], body)
    title = "Paired differences, over the images that both priors have:"
    return [title, *table] if body else []


def write_summary(workdir: str) -> str:
    """Writes `summary.md` from the `results.csv` of an inversion; returns its path.

    Raises:
        UserError: if there are no results or they cannot be read.
    """
    rows, _ = _sorted_results(workdir)
    lines = [
        "# Results",
        "",
        "Mean ± half-width of the 95 % confidence interval (Student's t over images; "
        "n/a for fewer than two). PSNR, SSIM and LPIPS compare the true image with "
        "the reconstruction clipped to the range of images. All images count, "
        "whatever their status; `not ok` is the number that stalled or diverged. "
        "Seconds are those of a batch over its images, with the compilation of the "
        "first batch.",
        "",
    ]
    for (select,) in _groups(rows, "select"):
        lines.append(f"- `select={select}`: {SELECTION_RULES.get(select, 'custom')}.")
    for (problem,), group in _groups(rows, "problem").items():
        lines += ["", f"## {problem}", *_means_table(group), *_paired_table(group)]
    path = os.path.join(workdir, "summary.md")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines).rstrip() + "\n")
    return path


def _figure(width: float, height: float):
    """A matplotlib figure in inches, not pyplot's: it needs no backend or state."""
    from matplotlib.figure import Figure  # Slow to import, so only when needed.

    return Figure(figsize=(width, height), dpi=DPI)


def plot_curves(workdir: str) -> list[str]:
    """Draws `figures/{problem}_psnr.png`, PSNR against ratio; returns their paths.

    Raises:
        UserError: if there are no results or they cannot be read.
    """
    rows, priors = _sorted_results(workdir)
    colours = {p: COLOURS[i % len(COLOURS)] for i, p in enumerate(priors)}
    os.makedirs(os.path.join(workdir, "figures"), exist_ok=True)
    paths = []
    for (problem,), group in _groups(rows, "problem").items():
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
    varied = [c for c in ("method", "select") if len(_groups(rows, c)) > 1]
    settings = list(_groups(rows, "method", "select"))
    lines = _groups(rows, "prior", "method", "select")
    step = 0.01 * (math.log(rows[-1]["ratio"] / rows[0]["ratio"]) or 1)
    for index, ((prior, *setting), line) in enumerate(lines.items()):
        by_ratio = _groups(line, "ratio")
        intervals = [confidence_interval(_values(g, "psnr")) for g in by_ratio.values()]
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
    ratios = [ratio for (ratio,) in _groups(rows, "ratio")]
    fractions = problem in RECIPROCALS
    if fractions or ratios[-1] > 10 * ratios[0]:
        axes.set_xscale("log")
    names = [f"1/{1 / r:g}" if fractions else f"{100 * r:g}" for r in ratios]
    axes.set_xticks(ratios, names)
    axes.set_xticks([], minor=True)
    title = f"{problem.replace('_', ' ')}, {len(_groups(rows, 'image'))} images"
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
