"""`report.html`: everything that an inversion's directory says, in one file."""

import json
import os
from collections.abc import Sequence

from rtil_jax.experiments.report import markup
from rtil_jax.experiments.report.fits import RULE, fit_tables
from rtil_jax.experiments.report.images import describe_images
from rtil_jax.experiments.report.noise import noise_sentences
from rtil_jax.experiments.report.rows import (
    Row,
    groups,
    names,
    ratio_name,
    read_record,
    sorted_results,
)
from rtil_jax.experiments.report.style import DPI, problem_text, ratio_text
from rtil_jax.experiments.report.tables import (
    HOW_TO_READ,
    Table,
    explain_rules,
    result_tables,
)
from rtil_jax.files import replacing

CURVES = {"psnr": "PSNR", "ssim": "SSIM", "lpips": "LPIPS"}
MAX_OPEN_GRIDS = 12
GRID_SCALE = 0.5  # CSS pixels per pixel
ABSENT = "–"


def write_page(workdir: str) -> str:
    """Writes `report.html` from what the directory holds; returns its path.

    It needs no other file: the tables of `summary.md`, the pictures of `figures/`, and
    what `config.json` knows of the runs. What an old directory lacks is left out.

    Raises:
        UserError: if there are no results, or a file cannot be read.
    """
    rows, record = sorted_results(workdir), read_record(workdir)
    title = f"{os.path.basename(os.path.abspath(workdir))}: results"
    parts = [
        *_overview(rows, record, *describe_images(workdir)),
        *_runs(record),
        *_curves(rows, workdir),
        *_fits(rows, workdir),
        *_tables(rows),
        *_convergence(rows, workdir),
        *_grids(rows, workdir),
    ]
    path = os.path.join(workdir, "report.html")
    with replacing(path) as file:
        file.write(markup.document(title, parts))
    return path


def _overview(
    rows: Sequence[Row], record: dict, taken: str, warnings: Sequence[str]
) -> list[str]:
    """What was recovered with what, how it ended, and the rules of selection."""
    images, statuses = names(rows, "image"), groups(rows, "status")
    counts = ", ".join(f"{len(group)} {s}" for (s,), group in statuses.items())
    problems = []
    for (problem,), group in groups(rows, "problem").items():
        ratios = [ratio_text(problem, ratio) for ratio in names(group, "ratio")]
        problems.append(f"{problem_text(problem)} ({', '.join(ratios)})")
    sums = record.get("priors", {})
    priors = [
        f"{name} (checksum {sums[name]})" if name in sums else name
        for name in names(rows, "prior")
    ]
    facts = [
        ("Reconstructions", f"{len(rows)}, of {len(images)} images: {counts}"),
        *([("Images", taken)] if taken else []),
        *(("Warning", warning) for warning in warnings),
        ("Problems", "; ".join(problems)),
        ("Priors", ", ".join(priors)),
        ("Methods", ", ".join(names(rows, "method"))),
        ("Iterates kept", " ".join(explain_rules(rows))),
    ]
    noise = noise_sentences(rows, record)
    if noise:
        facts.append(("Noise", " ".join(noise)))
    versions = record.get("versions", {})
    if versions:
        text = ", ".join(f"{name} {version}" for name, version in versions.items())
        facts.append(("Versions", text))
    for name in ("device", "revision"):
        if record.get(name):
            facts.append((name.capitalize(), record[name]))
    return [markup.facts(facts)]


def _runs(record: dict) -> list[str]:
    """Command lines and settings."""
    commands, methods = record.get("commands", []), record.get("methods", {})
    parts = []
    if commands:
        parts += [markup.heading(2, "Commands"), markup.listing("\n".join(commands))]
    if methods:
        title = "Settings" if len(methods) == 1 else "Settings that differ"
        differences = settings_table(methods)
        parts.append(markup.heading(2, title))
        parts += [markup.table(differences, title)] if differences.body else []
        everything = json.dumps(methods, indent=2, ensure_ascii=False)
        summary = "All settings, as of the last run of each method"
        parts.append(markup.folded(summary, markup.listing(everything), False))
    return parts


def settings_table(methods: dict[str, dict]) -> Table:
    """The fields in which methods differ, or those of the method if there is one."""
    flat = {label: _flatten(config) for label, config in methods.items()}
    fields = sorted(set().union(*flat.values()))
    body = []
    for field in fields:
        values = [settings.get(field, ABSENT) for settings in flat.values()]
        own = len(methods) == 1 and field.startswith("method")
        if own or len(set(values)) > 1:
            body.append([field, *values])
    return Table("", ["field", *flat], body)


def _flatten(config: dict, prefix: str = "") -> dict[str, str]:
    """Dotted names -> values as text."""
    flat: dict[str, str] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            text = value if isinstance(value, str) and value else json.dumps(value)
            flat[f"{prefix}{name}"] = text
    return flat


def _curves(rows: Sequence[Row], workdir: str) -> list[str]:
    parts = []
    for metric, name in CURVES.items():
        path = os.path.join(workdir, "figures", f"{metric}.png")
        if os.path.exists(path):
            problems = ", ".join(map(problem_text, names(rows, "problem")))
            alt = f"{name} against the ratio of measurements: {problems}"
            caption = f"{name}: means and 95 % intervals, as in the tables below."
            parts.append(markup.picture(path, alt, caption, 96 / DPI))
    return [markup.heading(2, "Curves"), *parts] if parts else []


def _tables(rows: Sequence[Row]) -> list[str]:
    parts = [markup.heading(2, "Tables"), markup.paragraph(HOW_TO_READ)]
    for problem, tables in result_tables(rows).items():
        name = problem_text(problem)
        parts.append(markup.heading(3, name))
        for table in tables:
            kind = "paired differences" if table.title else "means"
            parts.append(markup.table(table, f"{name}, {kind}"))
    return parts


def _fits(rows: Sequence[Row], workdir: str) -> list[str]:
    """How well images from files explain what was measured."""
    tables = fit_tables(rows, workdir)
    parts = [markup.table(table, "fit to the measurements") for table in tables]
    title = "Fit to the measurements"
    start = [markup.heading(2, title), markup.paragraph(RULE)]
    return [*start, *parts] if parts else []


def _convergence(rows: Sequence[Row], workdir: str) -> list[str]:
    parts = []
    for problem in names(rows, "problem"):
        path = os.path.join(workdir, "figures", f"convergence_{problem}.png")
        if os.path.exists(path):
            alt = f"Measurement loss against steps: {problem_text(problem)}"
            parts.append(markup.picture(path, alt, "", 96 / DPI))
    words = (
        "Median over images of the measurement loss, and the band between its "
        "quartiles. Losses that are not finite are left out."
    )
    if not parts:
        return []
    return [markup.heading(2, "Convergence"), markup.paragraph(words), *parts]


def _grids(rows: Sequence[Row], workdir: str) -> list[str]:
    """Grids of pictures, folded where they are many."""
    found = []
    for problem, ratio, select in groups(rows, "problem", "ratio", "select"):
        name = f"{problem}_{ratio_name(ratio)}_{select}.png"
        path = os.path.join(workdir, "figures", name)
        if os.path.exists(path):
            setting = f"{problem_text(problem)}, {ratio_text(problem, ratio)}"
            found.append((path, f"{setting}, select={select}"))
    parts = []
    for path, title in found:
        alt = f"Truth, measurement and reconstructions: {title}"
        inside = markup.picture(path, alt, "", GRID_SCALE)
        parts.append(markup.folded(title, inside, len(found) <= MAX_OPEN_GRIDS))
    if not parts:
        return []
    words = "The first images; below each reconstruction is its PSNR."
    return [markup.heading(2, "Pictures"), markup.paragraph(words), *parts]
