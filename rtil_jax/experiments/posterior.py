"""Draws from the posterior of test images by the chains of `inversion.langevin`."""

import csv
import os

import numpy as np
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from rtil_jax import data, metrics
from rtil_jax.config import require
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inputs import (
    image_arguments,
    image_shape,
    load_priors,
)
from rtil_jax.experiments.inversion.inversion_entries import require_symmetric
from rtil_jax.experiments.inversion.inversion_run import (
    InversionRun,
    parse_inversion,
)
from rtil_jax.experiments.inversion.measuring import problem_of
from rtil_jax.experiments.inversion.noise_levels import describe_noise, noise_record
from rtil_jax.experiments.report import draw_posterior
from rtil_jax.experiments.report.rows import ratio_name
from rtil_jax.files import local_path, replacing
from rtil_jax.inversion import PosteriorSamples, Problem, posterior_samples

KEY = ("prior", "ratio", "image")
QUALITY = ("psnr_of_mean", "psnr_of_sample", "spread", "covered", "failed")
COLUMNS = KEY + QUALITY


def run_posterior(config: ConfigDict, workdir: str) -> list[dict]:
    """Draws for every image, prior and ratio; writes a picture of each and a table.

    `posterior.csv` has, per image, the PSNR of the mean and of one sample, the mean of
    the spread (pixelwise standard deviation, images in [-1, 1]), and the share of
    pixels whose truth is within two of it: 95 % if the posterior were calibrated.

    Raises:
        UserError: for a config, prior, data set or directory that cannot be used.
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
    rows = []
    for entry in run.entries:
        problem, keys = problem_of(run, entry, images, np.arange(len(images)))
        found = posterior_samples(
            entry.method,
            priors[entry.prior],
            problem,
            keys,
            noise_std=entry.noise_std,
            **chain,
        )
        stem = f"{entry.prior}_{entry.problem}_{ratio_name(entry.ratio)}"
        path = os.path.join(workdir, f"{stem}.png")
        draw_posterior(problem, found, path)
        print(f"figure    {path}")
        rows += [
            {"prior": entry.prior, "ratio": entry.ratio, "image": image, **values}
            for image, values in zip(images.names, quality(problem, found), strict=True)
        ]
    path = os.path.join(workdir, "posterior.csv")
    with replacing(path) as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    print(f"table     {path}")
    return rows


def parse_posterior(config: ConfigDict) -> tuple[InversionRun, dict]:
    """The inversion, of one setting, and the arguments of its chains.

    Raises:
        UserError: for the first field that cannot be used.
    """
    if "chain" not in config:
        raise UserError(
            "--config: found a config without config.chain, expected one for the "
            "posterior, such as configs/ablations/posterior.py"
        )
    config = config.copy_and_resolve_references().unlock()
    chain = config.chain
    del config.chain
    run = parse_inversion(config)
    if len(run.settings) > 1:
        raise UserError(
            f"--config: found {len(run.settings)} settings, expected one label of "
            "config.settings, one config.problem and one config.select: the files of a "
            "posterior are named by prior and ratio"
        )
    entry = run.entries[0]
    require(entry.noise_std > 0, "noise_std", entry.noise_std, "above 0")
    name = config.method.name
    require(name == "ilo", "method.name", name, "ilo, whose z_k the chain draws")
    require_symmetric(run.images.range, "the spread of posterior samples")
    return run, chain.to_dict()


def quality(problem: Problem, found: PosteriorSamples) -> list[dict]:
    """What `run_posterior` says of each image."""

    def psnr(images: Array | np.ndarray) -> Float[np.ndarray, " batch"]:
        unit = [(np.clip(x, -1, 1) + 1) / 2 for x in (images, problem.truth)]
        return np.asarray(metrics.psnr(*unit))

    error = np.abs(np.asarray(found.mean - problem.truth))
    failed = np.array([status == "failed" for status in found.chains.status])
    columns = {
        "psnr_of_mean": psnr(found.mean),
        "psnr_of_sample": psnr(found.images[:, 0]),
        "spread": np.mean(found.std, axis=(1, 2, 3)),
        "covered": np.mean(error <= 2 * np.asarray(found.std), axis=(1, 2, 3)),
        "failed": failed.reshape(len(error), -1).sum(axis=1),
    }
    return [
        {name: float(values[i]) for name, values in columns.items()}
        for i in range(len(error))
    ]
