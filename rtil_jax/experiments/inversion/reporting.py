"""Tables and figures of an inversion directory, and its grids of pictures."""

import os

import jax
import numpy as np
from jaxtyping import Array
from ml_collections import ConfigDict

from rtil_jax import data
from rtil_jax.experiments import report
from rtil_jax.experiments.inversion.results import Results, read_picture
from rtil_jax.experiments.inversion.settings import (
    expand,
    from_range,
    problem_of,
    setting_of,
)
from rtil_jax.experiments.report.rows import ratio_name


def write_report(
    config: ConfigDict, workdir: str, results: Results, images: data.ImageSet
) -> None:
    """`summary.md`, the curves, a grid of pictures for each ratio of this run, and
    `report.html` with all of it."""
    print(f"table     {report.write_summary(workdir)}")
    figures = report.plot_curves(workdir, config.figure.published)
    figures += report.plot_convergence(workdir)
    drawn: dict[tuple, dict[str, ConfigDict]] = {}
    for label, one in expand(config):
        drawn.setdefault((one.problem, tuple(one.ratios), one.select), {})[label] = one
    for (_, ratios, _), settings in drawn.items():
        figures += [
            draw_grid(settings, workdir, results, images, ratio) for ratio in ratios
        ]
    for figure in figures:
        print(f"figure    {figure}")
    print(f"pictures  {os.path.join(workdir, 'recovered')}")
    print(f"page      {report.write_page(workdir)}")


def draw_grid(
    settings: dict[str, ConfigDict],
    workdir: str,
    results: Results,
    images: data.ImageSet,
    ratio: float,
) -> str:
    """Truth, measurement, and the reconstructions of every label and prior.

    `settings` are those of one problem and selection rule, by label.
    """
    indices = range(min(len(images), report.MAX_GRID_ROWS))
    columns: dict[str, Array | np.ndarray] = {}
    psnr: dict[str, list[float]] = {}
    noise = None
    base = next(iter(settings.values()))
    # Earlier runs may have left other labels, of the same measurements.
    settings = dict.fromkeys(results.names("method"), base) | settings
    for label, config in settings.items():
        if config.noise_std != noise:  # settings with the same measurements share one
            noise, several = config.noise_std, noise is not None
            problem, _ = problem_of(config, images, np.array(indices), ratio)
            preview = jax.vmap(lambda operator, y: operator.preview(y))
            measured = preview(problem.operators, problem.measurements)
            truth, measured = (
                from_range(x, config.images.range) for x in (problem.truth, measured)
            )
            columns.setdefault("truth", truth)
            title = f"measurement, {label}" if several else "measurement"
            columns[title] = measured
        for prior in results.names("prior"):
            setting = setting_of(label, config, prior, ratio)
            keys = [{"image": images.names[i], **setting} for i in indices]
            if not all(map(results.is_done, keys, indices)):
                continue  # a prior of an earlier run that had fewer images
            title = f"{prior}, {label}"
            paths = map(results.picture, keys, indices)
            columns[title] = np.stack([data.to_float(read_picture(p)) for p in paths])
            psnr[title] = [results[key]["psnr"] for key in keys]
    stem = f"{config.problem}_{ratio_name(ratio)}_{config.select}"
    path = os.path.join(workdir, "figures", f"{stem}.png")
    report.image_grid(columns, path, psnr)
    return path
