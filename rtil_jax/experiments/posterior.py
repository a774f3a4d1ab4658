"""Draws from the posterior of test images by the chains of `inversion.langevin`."""

import csv
import os

import numpy as np
from ml_collections import ConfigDict

from rtil_jax import metrics
from rtil_jax.config import require
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inversion_checks import (
    check_inversion_config,
    require_symmetric,
)
from rtil_jax.experiments.inversion.inversion_config import build_method
from rtil_jax.experiments.inversion.noise_levels import describe_noise, snr_of
from rtil_jax.experiments.inversion.settings import problem_of
from rtil_jax.experiments.inversion.sweep import load_priors, load_test_images
from rtil_jax.experiments.report import draw_posterior
from rtil_jax.experiments.report.rows import ratio_name
from rtil_jax.files import local_path, replacing
from rtil_jax.inversion import (
    ILO,
    PosteriorSamples,
    Problem,
    posterior_samples,
)

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
    config = config.copy_and_resolve_references().unlock()
    chain = config.chain
    del config.chain
    check_inversion_config(config)
    require(config.noise_std > 0, "noise_std", config.noise_std, "above 0")
    name = config.method.name
    require(name == "ilo", "method.name", name, "ilo, whose z_k the chain draws")
    require_symmetric(config, "the spread of posterior samples")
    priors = load_priors(config)
    images = load_test_images(config, next(iter(priors.values())))
    try:
        os.makedirs(workdir, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--workdir={workdir}: cannot be written ({error.strerror})"
        ) from error
    snr = {config.problem: snr_of(config, images)}
    print(f"noise     {describe_noise(config, snr)}")
    rows = []
    for ratio in config.ratios:
        for name, prior in priors.items():
            problem, keys = problem_of(config, images, np.arange(len(images)), ratio)
            method = build_method(config, name)
            assert isinstance(method, ILO)  # required above
            found = posterior_samples(
                method,
                prior,
                problem,
                keys,
                noise_std=config.noise_std,
                **chain.to_dict(),
            )
            path = os.path.join(
                workdir, f"{name}_{config.problem}_{ratio_name(ratio)}.png"
            )
            draw_posterior(problem, found, path)
            print(f"figure    {path}")
            rows += [
                {"prior": name, "ratio": float(ratio), "image": image, **values}
                for image, values in zip(
                    images.names, quality(problem, found), strict=True
                )
            ]
    path = os.path.join(workdir, "posterior.csv")
    with replacing(path) as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    print(f"table     {path}")
    return rows


def quality(problem: Problem, found: PosteriorSamples) -> list[dict]:
    """What `run_posterior` says of each image."""

    def psnr(images):
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
