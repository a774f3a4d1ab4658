"""Tables of results: `results.csv` in, Markdown out."""

import csv
import math
import os
import warnings
from collections.abc import Sequence

from rtil_jax.errors import UserError
from rtil_jax.metrics import confidence_interval

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


# What differences are taken of, and the words above them.
PAIRED = {
    "prior": "Paired differences, over the images that both priors have:",
    "select": "Paired differences of selection rules, over the images that have both; "
    "what `oracle` gains, it owes to the true image:",
}


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


def sorted_results(workdir: str) -> tuple[list[Row], list[str]]:
    """The results, sorted, and the priors: `vanilla` first, then as in the file."""
    path = os.path.join(workdir, "results.csv")
    rows = read_results(path)
    if not rows:
        raise UserError(f"{path}: found no results, expected one line per image")
    priors = [name for (name,) in groups(rows, "prior")]
    priors.sort(key=lambda name: name != "vanilla")

    def order(row):
        # Measurement first: other rules are compared with it.
        select = (row["select"] != "measurement", row["select"])
        setting = (row["problem"], row["ratio"], row["method"], *select)
        return *setting, priors.index(row["prior"])

    return sorted(rows, key=order), priors


def groups(rows: Sequence[Row], *columns: str) -> dict[tuple, list[Row]]:
    """Rows by their values in `columns`, in order of appearance."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in columns), []).append(row)
    return groups


def present_values(rows: Sequence[Row], metric: str) -> list[float]:
    """The values of a column, less those that are missing."""
    return [row[metric] for row in rows if not math.isnan(row[metric])]


def _mean_interval(rows: Sequence[Row], metric: str, sign: str = "") -> str:
    """`mean ± half-width` over the images that have the metric."""
    values, (_, spec) = present_values(rows, metric), METRICS[metric]
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
    settings = groups(rows, "ratio", "prior", "method", "select")
    for (ratio, *names), group in settings.items():
        means = [_mean_interval(group, metric) for metric in METRICS]
        failed = sum(row["status"] != "ok" for row in group)
        body.append([f"{ratio:g}", *names, str(len(group)), *means, str(failed)])
    headings = [heading for heading, _ in METRICS.values()]
    keys = ["ratio", "prior", "method", "select", "n"]
    return _table([*keys, *headings, "not ok"], body)


def _paired_table(rows: Sequence[Row], column: str, title: str) -> list[str]:
    """Differences to the first value of `column`, image by image; [] without pairs."""
    metrics = [metric for metric in METRICS if metric != "seconds"]
    keys = [key for key in ("prior", "method", "select") if key != column]
    body = []
    for (ratio, *names), setting in groups(rows, "ratio", *keys).items():
        (reference, base), *others = groups(setting, column).items()
        base = {row["image"]: row for row in base}
        for other, group in others:
            pairs = [(row, base[row["image"]]) for row in group if row["image"] in base]
            if pairs:
                differences = [{m: a[m] - b[m] for m in metrics} for a, b in pairs]
                means = [_mean_interval(differences, m, sign="+") for m in metrics]
                label = f"{other[0]} − {reference[0]}"
                body.append([f"{ratio:g}", label, *names, str(len(pairs)), *means])
    headings = [METRICS[metric][0] for metric in metrics]
    table = _table(["ratio", "difference", *keys, "n", *headings], body)
    return [title, *table] if body else []


def write_summary(workdir: str) -> str:
    """Writes `summary.md` from the `results.csv` of an inversion; returns its path.

    Raises:
        UserError: if there are no results or they cannot be read.
    """
    rows, _ = sorted_results(workdir)
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
    for (select,) in groups(rows, "select"):
        lines.append(f"- `select={select}`: {SELECTION_RULES.get(select, 'custom')}.")
    for (problem,), group in groups(rows, "problem").items():
        lines += ["", f"## {problem}", *_means_table(group)]
        for column, title in PAIRED.items():
            lines += _paired_table(group, column, title)
    path = os.path.join(workdir, "summary.md")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines).rstrip() + "\n")
    return path
