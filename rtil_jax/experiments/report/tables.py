"""Makes the tables of results, and `summary.md` from them."""

import dataclasses
import math
import os
from collections.abc import Sequence

from rtil_jax.experiments.report.images import describe_images
from rtil_jax.experiments.report.noise import noise_sentences
from rtil_jax.experiments.report.rows import (
    Row,
    groups,
    names,
    present_values,
    read_record,
    sorted_results,
)
from rtil_jax.files import replacing
from rtil_jax.metrics import confidence_interval

# Column of results.csv -> heading and format of its mean.
METRICS = {
    "psnr": ("PSNR (dB)", ".2f"),
    "ssim": ("SSIM", ".4f"),
    "lpips": ("LPIPS", ".4f"),
    "measurement_mse": ("measurement MSE", ".2e"),
    "seconds": ("seconds per image", ".2f"),
}
SELECTION_RULES = {
    "held_out": "held-out measurements choose stage and step, then a second fit uses "
    "all measurements and stops there",
    "last": "the last iterate is kept",
    "measurement": "the iterate with the lowest measurement loss is kept",
    "oracle": "the iterate closest to the true image is kept: an upper bound",
}
# Column whose values are compared -> the sentence above the table.
PAIRED = {
    "prior": "Paired differences, over the images that both priors have:",
    "method": "Paired differences of settings, over the images that both have:",
    "select": "Paired differences of selection rules, over the images that have both "
    "(`oracle` gains because it knows the true image):",
}
HOW_TO_READ = (
    "Numbers are means ± half the width of the 95 % confidence interval (Student's t "
    "over images; n/a for fewer than two). PSNR, SSIM and LPIPS compare the true image "
    "with the reconstruction, clipped to the range of images. All images count, with "
    "any status; `not ok` is the number of images that stalled or failed. Seconds are "
    "the time of a batch without compilation, divided by its images."
)


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        title: a sentence above the table; may be empty.
        header: the heading of each column.
        body: lines with a cell for each column.
    """

    title: str
    header: list[str]
    body: list[list[str]]


def explain_rules(rows: Sequence[Row]) -> list[str]:
    """Returns a sentence for each selection rule of the rows."""
    return [
        f"`select={select}`: {SELECTION_RULES.get(select, 'custom')}."
        for select in names(rows, "select")
    ]


def result_tables(rows: Sequence[Row]) -> dict[str, list[Table]]:
    """Returns tables of means and of paired differences, if any, for each problem."""
    tables = {}
    for (problem,), group in groups(rows, "problem").items():
        paired = [_paired_table(group, *item) for item in PAIRED.items()]
        tables[problem] = [_means_table(group), *(t for t in paired if t.body)]
    return tables


def _mean_interval(rows: Sequence[Row], metric: str, sign: str = "") -> str:
    """Writes `mean ± half-width` over the images that have the metric."""
    values, (_, spec) = present_values(rows, metric), METRICS[metric]
    if not values:
        return "n/a"
    mean, half = confidence_interval(values)
    interval = "n/a" if math.isnan(half) else format(half, spec)
    count = f" (n={len(values)})" if len(values) < len(rows) else ""
    return f"{mean:{sign}{spec}} ± {interval}{count}"


def _means_table(rows: Sequence[Row]) -> Table:
    body = []
    settings = groups(rows, "ratio", "prior", "method", "select")
    for (ratio, *setting), group in settings.items():
        means = [_mean_interval(group, metric) for metric in METRICS]
        failed = sum(row["status"] != "ok" for row in group)
        body.append([f"{ratio:g}", *setting, str(len(group)), *means, str(failed)])
    headings = [heading for heading, _ in METRICS.values()]
    keys = ["ratio", "prior", "method", "select", "n"]
    return Table("", [*keys, *headings, "not ok"], body)


def _paired_table(rows: Sequence[Row], column: str, title: str) -> Table:
    """Returns a table of differences to the first value of `column`, image by image."""
    metrics = [metric for metric in METRICS if metric != "seconds"]
    keys = [key for key in ("prior", "method", "select") if key != column]
    body = []
    for (ratio, *setting), group in groups(rows, "ratio", *keys).items():
        (reference, base), *others = groups(group, column).items()
        of_image = {row["image"]: row for row in base}
        for other, group in others:
            pairs = [
                (row, of_image[row["image"]])
                for row in group
                if row["image"] in of_image
            ]
            if pairs:
                differences = [{m: a[m] - b[m] for m in metrics} for a, b in pairs]
                means = [_mean_interval(differences, m, sign="+") for m in metrics]
                label = f"{other[0]} − {reference[0]}"
                body.append([f"{ratio:g}", label, *setting, str(len(pairs)), *means])
    headings = [METRICS[metric][0] for metric in metrics]
    return Table(title, ["ratio", "difference", *keys, "n", *headings], body)


def without_empty(content: Table) -> Table:
    """Returns the table without columns that are empty in every line."""
    columns = list(zip(content.header, *content.body, strict=True))
    kept = [column for column in columns if {*column[1:]} - {"", "n/a", "–"}]
    header, *body = map(list, zip(*kept, strict=True))
    return Table(content.title, header, body)


def _markdown(content: Table) -> list[str]:
    """Returns the lines of a table, without empty columns."""
    table = without_empty(content)
    lines = [table.header, ["---"] * len(table.header), *map(_escaped, table.body)]
    title = [table.title] if table.title else []
    return [*title, "", *(f"| {' | '.join(cells)} |" for cells in lines), ""]


def _escaped(cells: Sequence[str]) -> list[str]:
    """Escapes what Markdown would take for a column or a tag."""
    return [cell.replace("|", r"\|").replace("<", r"\<") for cell in cells]


def write_summary(workdir: str, fits: tuple[str, Sequence[Table]] = ("", ())) -> str:
    """Writes `summary.md` from the `results.csv` of an inversion; returns its path.

    `fits` are tables about the fit to measurements, after a text that explains them.

    Raises:
        UserError: if there are no results, or they or the record cannot be read.
    """
    rows = sorted_results(workdir)
    lines = ["# Results", "", HOW_TO_READ, ""]
    lines += [f"- {rule}" for rule in explain_rules(rows)]
    images, warnings = describe_images(workdir)
    lines += [f"- Images: {images}."] if images else []
    lines += [f"- **Warning:** {warning}." for warning in warnings]
    lines += [f"- {text}" for text in noise_sentences(rows, read_record(workdir))]
    how, fitted = fits
    lines += ["", "## Fit to the measurements", "", how] if fitted else []
    for table in fitted:
        lines += _markdown(table)
    for problem, tables in result_tables(rows).items():
        lines += ["", f"## {problem}"]
        for table in tables:
            lines += _markdown(table)
    path = os.path.join(workdir, "summary.md")
    with replacing(path) as file:
        file.write("\n".join(lines).rstrip() + "\n")
    return path
