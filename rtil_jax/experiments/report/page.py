"""Writes `report.html`, which shows all results of an inversion in one file."""

import json
import os
from collections.abc import Sequence

from rtil_jax.experiments.report import markup
from rtil_jax.experiments.report.findings import (
    conclusion,
    find_best,
    findings_table,
)
from rtil_jax.experiments.report.fits import RULE, fit_tables
from rtil_jax.experiments.report.gallery import HOW_TO_READ as HOW_TO_SEE
from rtil_jax.experiments.report.gallery import gallery
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
from rtil_jax.experiments.report.shown import load_shown
from rtil_jax.experiments.report.style import DPI, problem_text, ratio_text
from rtil_jax.experiments.report.tables import (
    HOW_TO_READ,
    Table,
    explain_rules,
    result_tables,
    without_empty,
)
from rtil_jax.files import replacing

CURVES = {
    "differences": "Paired differences of PSNR",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "lpips": "LPIPS",
}
MAX_OPEN = 12  # with more settings, the pictures are folded
GRID_SCALE = 0.5  # CSS pixels per pixel
ABSENT = "–"


def write_page(workdir: str) -> str:
    """Writes `report.html` from the files of a directory; returns its path.

    The page shows the findings first, then pictures, curves, convergence and tables;
    commands, settings and versions are folded at the end. It needs no other file and no
    network. What an old directory lacks is left out.

    Raises:
        UserError: if there are no results, or a file cannot be read.
    """
    rows, record = sorted_results(workdir), read_record(workdir)
    title = f"{os.path.basename(os.path.abspath(workdir))}: results"
    parts = [
        *_overview(rows, record, *describe_images(workdir)),
        *_found(rows),
        *_fits(rows, workdir),
        *_pictures(rows, workdir),
        *_curves(rows, workdir),
        *_convergence(rows, workdir),
        *_tables(rows),
        *_runs(record),
    ]
    path = os.path.join(workdir, "report.html")
    with replacing(path) as file:
        file.write(markup.document(title, parts))
    return path


def _overview(
    rows: Sequence[Row], record: dict, taken: str, warnings: Sequence[str]
) -> list[str]:
    """Lists images, priors, methods, problems, status, and selection rules."""
    images, statuses = names(rows, "image"), groups(rows, "status")
    counts = ", ".join(f"{len(group)} {s}" for (s,), group in statuses.items())
    problems = []
    for (problem,), group in groups(rows, "problem").items():
        ratios = [ratio_text(problem, ratio) for ratio in names(group, "ratio")]
        problems.append(f"{problem_text(problem)} ({', '.join(ratios)})")
    paths = _paths_of_priors(record)
    priors = [
        f"{name} ({', '.join(paths[name])})" if name in paths else name
        for name in names(rows, "prior")
    ]
    facts = [
        *([("Images", taken)] if taken else []),
        *(("Warning", warning) for warning in warnings),
        ("Priors", ", ".join(priors)),
        ("Methods", ", ".join(names(rows, "method"))),
        ("Problems", "; ".join(problems)),
        ("Reconstructions", f"{len(rows)}, of {len(images)} images: {counts}"),
        ("Iterates kept", " ".join(explain_rules(rows))),
    ]
    noise = noise_sentences(rows, record)
    if noise:
        facts.append(("Noise", " ".join(noise)))
    return [markup.facts(facts)]


def _paths_of_priors(record: dict) -> dict[str, list[str]]:
    """Returns {name of a prior: paths from which runs loaded it}."""
    found: dict[str, list[str]] = {}
    for settings in record.get("methods", {}).values():
        for name, path in settings.get("priors", {}).items():
            if path not in found.setdefault(name, []):
                found[name].append(path)
    return found


def _found(rows: Sequence[Row]) -> list[str]:
    """Shows the best of each setting, and a sentence about all."""
    findings = find_best(rows)
    if not findings:
        return []
    parts = [markup.heading(2, "What was found")]
    if sentence := conclusion(findings):
        parts.append(markup.paragraph(sentence))
    content = without_empty(findings_table(findings))
    return [*parts, markup.table(content, "the best of each setting")]


def _runs(record: dict) -> list[str]:
    """Shows command lines, settings, versions and device, folded."""
    commands, methods = record.get("commands", []), record.get("methods", {})
    parts = []
    if commands:
        parts += [markup.heading(3, "Commands"), markup.listing("\n".join(commands))]
    if methods:
        title = "Settings" if len(methods) == 1 else "Settings that differ"
        differences = settings_table(methods)
        parts.append(markup.heading(3, title))
        parts += [markup.table(differences, title)] if differences.body else []
        everything = json.dumps(methods, indent=2, ensure_ascii=False)
        parts.append(markup.paragraph("All settings, as of each method's last run:"))
        parts.append(markup.listing(everything))
    made = []
    if versions := record.get("versions", {}):
        text = ", ".join(f"{name} {version}" for name, version in versions.items())
        made.append(("Versions", text))
    for name in ("device", "revision"):
        if record.get(name):
            made.append((name.capitalize(), record[name]))
    parts += [markup.facts(made)] if made else []
    if not parts:
        return []
    summary = "Commands, settings and versions"
    return [markup.folded(summary, "\n".join(parts), False)]


def settings_table(methods: dict[str, dict]) -> Table:
    """Returns the fields in which methods differ, or all fields of a single method."""
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
    """Flattens a config to {dotted name: value as text}."""
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
            parts.append(markup.table(without_empty(table), f"{name}, {kind}"))
    return parts


def _fits(rows: Sequence[Row], workdir: str) -> list[str]:
    """Shows how well images recovered from files explain their measurements."""
    tables = fit_tables(rows, workdir)
    parts = [
        markup.table(without_empty(table), "fit to the measurements")
        for table in tables
    ]
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
        "The lines show the median over images of the measurement loss, the bands its "
        "quartiles. Losses that are not finite are left out."
    )
    if not parts:
        return []
    return [markup.heading(2, "Convergence"), markup.paragraph(words), *parts]


def _pictures(rows: Sequence[Row], workdir: str) -> list[str]:
    """Shows pictures of the first images, folded if there are many settings."""
    found = []
    for problem, ratio, select in groups(rows, "problem", "ratio", "select"):
        stem = f"{problem}_{ratio_name(ratio)}_{select}"
        setting = f"{problem_text(problem)}, {ratio_text(problem, ratio)}"
        title = f"{setting}, select={select}"
        if shown := load_shown(os.path.join(workdir, "shown", f"{stem}.npz")):
            found.append((title, gallery(shown, setting)))
        elif os.path.exists(old := os.path.join(workdir, "figures", f"{stem}.png")):
            alt = f"Truth, measurement and reconstructions: {title}"
            found.append((title, markup.picture(old, alt, "", GRID_SCALE)))
    if not found:
        return []
    parts = [
        markup.folded(title, inside, len(found) <= MAX_OPEN) for title, inside in found
    ]
    return [markup.heading(2, "Pictures"), markup.paragraph(HOW_TO_SEE), *parts]
