"""Tables and figures of an inversion directory, and its grids of pictures."""

import os

import jax
import numpy as np
from jaxtyping import Array

from rtil_jax import data
from rtil_jax.experiments import report
from rtil_jax.experiments.inversion.inversion_entries import Entry
from rtil_jax.experiments.inversion.inversion_run import InversionRun
from rtil_jax.experiments.inversion.measuring import from_range, problem_of
from rtil_jax.experiments.inversion.results import Results, read_picture
from rtil_jax.experiments.measurements.measured import Subjects
from rtil_jax.experiments.report.rows import ratio_name
from rtil_jax.inversion.problems import Problem


def write_report(
    run: InversionRun, workdir: str, results: Results, images: Subjects
) -> None:
    """`summary.md`, the curves, a grid of pictures for each ratio of this run, and
    `report.html` with all of it."""
    print(f"table     {report.write_summary(workdir)}")
    figures = report.plot_curves(workdir, run.figure.published)
    figures += report.plot_convergence(workdir)
    drawn: dict[tuple, dict[str, Entry]] = {}
    for entry in run.entries:
        grid = entry.problem, entry.select, entry.ratio
        drawn.setdefault(grid, {})[entry.label] = entry
    for labels in drawn.values():
        figures.append(draw_grid(run, labels, workdir, results, images))
    for figure in figures:
        print(f"figure    {figure}")
    print(f"pictures  {os.path.join(workdir, 'recovered')}")
    print(f"page      {report.write_page(workdir)}")


def draw_grid(
    run: InversionRun,
    labels: dict[str, Entry],
    workdir: str,
    results: Results,
    images: Subjects,
) -> str:
    """Truth, measurement, and the reconstructions of every label and prior.

    `labels` has an entry of each label; all are of one problem, rule and ratio.
    """
    indices = range(min(len(images), report.MAX_GRID_ROWS))
    columns: dict[str, Array | np.ndarray] = {}
    psnr: dict[str, list[float]] = {}
    noise = None
    base = next(iter(labels.values()))
    # Earlier runs may have left other labels, of the same measurements.
    for label, entry in (dict.fromkeys(results.names("method"), base) | labels).items():
        if (
            entry.noise_std,
            entry.noise,
        ) != noise:  # settings with the same measurements share one
            several, noise = noise is not None, (entry.noise_std, entry.noise)
            pictures = _measured(run, entry, images, np.array(indices))
            if "truth" in pictures:
                columns.setdefault("truth", pictures["truth"])
            if "measurement" in pictures:
                name = f"measurement, {label}" if several else "measurement"
                columns[name] = pictures["measurement"]
        for prior in results.names("prior"):
            key = entry.key(prior, label)
            keys = [{"image": images.names[i], **key} for i in indices]
            if not all(map(results.is_done, keys, indices)):
                continue  # a prior of an earlier run that had fewer images
            title = f"{prior}, {label}"
            paths = map(results.picture, keys, indices)
            columns[title] = np.stack([data.to_float(read_picture(p)) for p in paths])
            psnr[title] = [results[key]["psnr"] for key in keys]
    stem = f"{base.problem}_{ratio_name(base.ratio)}_{base.select}"
    path = os.path.join(workdir, "figures", f"{stem}.png")
    report.image_grid(columns, path, psnr)
    return path


def _measured(
    run: InversionRun, entry: Entry, images: Subjects, indices: np.ndarray
) -> dict[str, Array | np.ndarray]:
    """The images, where they are known, and their measurements as pictures."""
    problem, _ = problem_of(run, entry, images, indices)
    found = {"truth": problem.truth, "measurement": previews(problem)}
    limits = run.images.range
    return {n: from_range(x, limits) for n, x in found.items() if x is not None}


def previews(problem: Problem) -> Array | None:
    """Measurements as pictures; None if their operator has none to show."""
    if not hasattr(problem.operators, "preview"):
        return None
    axes = (None if problem.shared else 0, 0)
    preview = jax.vmap(lambda operator, y: operator.preview(y), axes)
    return preview(problem.operators, problem.measurements)
