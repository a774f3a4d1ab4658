"""Writes the tables, figures and grids of pictures of an inversion directory."""

import dataclasses
import os
from collections.abc import Iterable

import jax
import numpy as np
from jaxtyping import Array

from rtil_jax import data
from rtil_jax.experiments import report
from rtil_jax.experiments.inversion.inversion_entries import Entry
from rtil_jax.experiments.inversion.inversion_run import InversionRun
from rtil_jax.experiments.inversion.measuring import from_range, in_range, problem_of
from rtil_jax.experiments.inversion.results import Results, read_picture
from rtil_jax.experiments.measurements.measured import Measured, Subjects
from rtil_jax.experiments.report.findings import find_best, findings_lines
from rtil_jax.experiments.report.fits import RULE, fit_tables
from rtil_jax.experiments.report.rows import ratio_name, sorted_results
from rtil_jax.inversion.problems import Problem, over_images, settle


def write_report(
    run: InversionRun, workdir: str, results: Results, images: Subjects
) -> None:
    """Writes `summary.md`, the curves, grids of pictures, and `report.html`.

    Args:
        run: the inversion.
        workdir: the directory of its results.
        results: the rows of `results.csv`.
        images: the images, or measurements from files.
    """
    fits = RULE, fit_tables(sorted_results(workdir), workdir)
    print(f"table     {report.write_summary(workdir, fits)}")
    figures = report.plot_curves(workdir, run.figure.published)
    figures += report.plot_differences(workdir)
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
    for line in findings_lines(find_best(sorted_results(workdir))):
        print(line)


def draw_grid(
    run: InversionRun,
    labels: dict[str, Entry],
    workdir: str,
    results: Results,
    images: Subjects,
) -> str:
    """Draws truth, measurement, and the reconstructions of every label and prior.

    Args:
        run: the inversion.
        labels: {label: entry}, all with the same problem, rule and ratio.
        workdir: the directory of its results.
        results: the rows of `results.csv`.
        images: the images, or measurements from files.

    Returns:
        The path of the picture.
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
        ) != noise:  # settings with the same measurements share a column
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
                continue  # a prior of an earlier run with fewer images
            title = f"{prior}, {label}"
            paths = map(results.picture, keys, indices)
            columns[title] = np.stack([data.to_float(read_picture(p)) for p in paths])
            psnr[title] = [results[key]["psnr"] for key in keys]
            if isinstance(images, Measured):
                x, numbers = columns[title], np.array(indices)
                shown = _fit_pictures(run, entry, images, numbers, x)
                shown |= _spreads(map(results.solution, keys, indices))
                columns |= {f"{name}, {title}": z for name, z in shown.items()}
    stem = f"{base.problem}_{ratio_name(base.ratio)}_{base.select}"
    path = os.path.join(workdir, "figures", f"{stem}.png")
    report.image_grid(columns, path, psnr)
    names = [images.names[i] for i in indices]
    kept = os.path.join(workdir, "shown", f"{stem}.npz")
    report.save_shown(kept, names, columns, psnr)
    return path


def _measured(
    run: InversionRun, entry: Entry, images: Subjects, indices: np.ndarray
) -> dict[str, Array | np.ndarray]:
    """Returns the true images, if known, and their measurements as pictures."""
    problem, _ = problem_of(run, entry, images, indices)
    found = {"truth": problem.truth, "measurement": previews(problem)}
    limits = run.images.range
    return {n: from_range(x, limits) for n, x in found.items() if x is not None}


def _fit_pictures(
    run: InversionRun,
    entry: Entry,
    measured: Measured,
    indices: np.ndarray,
    pixels: Array | np.ndarray,
) -> dict[str, Array | np.ndarray]:
    """Returns A(x) of recovered images as pictures, if the operator can show them."""
    problem, _ = problem_of(run, entry, measured, indices)
    _, height, width, channels = pixels.shape
    problem = settle(problem, (height, width, channels))
    x = jax.numpy.asarray(
        in_range(np.asarray(pixels), run.images.range), jax.numpy.float32
    )
    again = over_images(lambda operator, one: operator(one), problem, x)
    shown = previews(dataclasses.replace(problem, measurements=again))
    return {} if shown is None else {"A x": from_range(shown, run.images.range)}


def _spreads(solutions: Iterable[str]) -> dict[str, Array | np.ndarray]:
    """Returns the spread over restarts, if there were several: 0 is black, 1 white."""
    found = []
    for path in solutions:
        with np.load(path, allow_pickle=False) as file:
            if "fact:spread" not in file.files:
                return {}
            found.append(file["fact:spread"])
    return {"spread": np.minimum(2 * np.stack(found), 2) - 1}


def previews(problem: Problem) -> Array | None:
    """Returns measurements as pictures; None if the operator cannot show them."""
    if not hasattr(problem.operators, "preview"):
        return None
    axes = (None if problem.shared else 0, 0)
    preview = jax.vmap(lambda operator, y: operator.preview(y), axes)
    return preview(problem.operators, problem.measurements)
