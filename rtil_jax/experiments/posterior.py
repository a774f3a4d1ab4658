"""`rtil posterior`: draws samples from the posterior of test images."""

import csv
import dataclasses
import os

import numpy as np
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from rtil_jax import data, metrics
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inputs import (
    image_arguments,
    image_shape,
    load_priors,
)
from rtil_jax.experiments.inversion.measuring import problem_of
from rtil_jax.experiments.inversion.noise_levels import describe_noise, noise_record
from rtil_jax.experiments.posterior_config import parse_posterior
from rtil_jax.experiments.report import draw_coverage, draw_posterior
from rtil_jax.experiments.report.rows import ratio_name
from rtil_jax.files import local_path, replacing
from rtil_jax.inversion import PosteriorSamples, Problem, posterior_samples

KEY = ("prior", "ratio", "image")
QUALITY = ("psnr_of_mean", "psnr_of_sample", "crps", "spread", "covered", "failed")
COLUMNS = KEY + QUALITY
CURVE = ("prior", "ratio", "level", "covered")


def run_posterior(config: ConfigDict, workdir: str) -> list[dict]:
    """Draws samples for every image, prior and ratio, and writes pictures and tables.

    `posterior.csv` has, for each image, the PSNR of the mean and of one sample, the
    CRPS (see `metrics.crps`), the mean of the spread (standard deviation of each pixel,
    for images in [-1, 1]), and the share of pixels whose true value is within two
    standard deviations, which is 95 % for a calibrated posterior. `coverage.csv` and
    `coverage.png` show how often the central interval of each level holds the truth.

    Raises:
        UserError: if a config, prior, data set or directory cannot be used.
    """
    workdir = local_path(workdir, "--workdir")
    run, chain = parse_posterior(config)
    priors = load_priors(run.priors)
    wanted = image_arguments(run.images, image_shape(run.images, priors))
    images = data.load_images(**wanted)
    try:
        os.makedirs(workdir, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--workdir={workdir}: cannot be written ({error.strerror})"
        ) from error
    snr = noise_record(run, images)
    print(f"noise     {describe_noise(run.entries[0], run.images.range, snr)}")
    rows, curves = [], {}
    for entry in run.entries:
        problem, keys = problem_of(run, entry, images, np.arange(len(images)))
        found = posterior_samples(
            entry.method,
            priors[entry.prior],
            problem,
            keys,
            noise_std=entry.noise_std,
            **dataclasses.asdict(chain),
        )
        stem = f"{entry.prior}_{entry.problem}_{ratio_name(entry.ratio)}"
        path = os.path.join(workdir, f"{stem}.png")
        draw_posterior(problem, found, path)
        print(f"figure    {path}")
        levels, covered = metrics.coverage(found.images, problem.truth)
        curve = levels, np.asarray(covered).mean(axis=0)
        curves[entry.prior, entry.ratio] = curve
        print(f"coverage  {entry.prior} at {entry.ratio:g}: {curve_text(*curve)}")
        rows += [
            {"prior": entry.prior, "ratio": entry.ratio, "image": image, **values}
            for image, values in zip(images.names, quality(problem, found), strict=True)
        ]
    write_table(os.path.join(workdir, "posterior.csv"), COLUMNS, rows)
    points = [
        dict(zip(CURVE, (*key, *point), strict=True))
        for key, curve in curves.items()
        for point in zip(*map(np.ndarray.tolist, curve), strict=True)
    ]
    write_table(os.path.join(workdir, "coverage.csv"), CURVE, points)
    path = os.path.join(workdir, "coverage.png")
    draw_coverage({f"{p} at {r:g}": curve for (p, r), curve in curves.items()}, path)
    print(f"figure    {path}")
    return rows


def curve_text(
    levels: Float[np.ndarray, " levels"], shares: Float[np.ndarray, " levels"]
) -> str:
    """Describes a curve, widest interval first: `60 % hold 55 %, 20 % hold 18 %`."""
    pairs = zip(levels, shares, strict=True)
    return ", ".join(f"{a:.0%} hold {b:.0%}".replace("%", " %") for a, b in pairs)


def write_table(path: str, columns: tuple[str, ...], rows: list[dict]) -> None:
    """Writes a CSV file and prints its path.

    Args:
        path: the file to write.
        columns: the names of the columns.
        rows: {column: value} for each row.
    """
    with replacing(path) as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    print(f"table     {path}")


def quality(problem: Problem, found: PosteriorSamples) -> list[dict]:
    """Returns the row of `posterior.csv` of each image, without its name."""

    def psnr(images: Array | np.ndarray) -> Float[np.ndarray, " batch"]:
        unit = [(np.clip(x, -1, 1) + 1) / 2 for x in (images, problem.truth)]
        return np.asarray(metrics.psnr(*unit))

    error = np.abs(np.asarray(found.mean - problem.truth))
    failed = np.array([status == "failed" for status in found.chains.status])
    columns = {
        "psnr_of_mean": psnr(found.mean),
        "psnr_of_sample": psnr(found.images[:, 0]),
        "crps": np.asarray(metrics.crps(found.images, problem.truth)),
        "spread": np.mean(found.std, axis=(1, 2, 3)),
        "covered": np.mean(error <= 2 * np.asarray(found.std), axis=(1, 2, 3)),
        "failed": failed.reshape(len(error), -1).sum(axis=1),
    }
    return [
        {name: float(values[i]) for name, values in columns.items()}
        for i in range(len(error))
    ]
