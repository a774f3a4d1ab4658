"""Draws from the posterior of test images by Langevin chains; see `inversion.langevin`.

python -m rtil_jax.posterior --config configs/ablations/posterior.py \
    --workdir runs/posterior
"""

import csv
import os

import numpy as np
from absl import flags
from ml_collections import ConfigDict, config_flags

from rtil_jax import metrics
from rtil_jax.command_line import run_main
from rtil_jax.config import require
from rtil_jax.errors import UserError
from rtil_jax.files import local_path, replacing
from rtil_jax.inversion import (
    ILO,
    PosteriorSamples,
    Problem,
    draw_posterior,
    posterior_samples,
)
from rtil_jax.inversion.checks import check_inversion_config, require_symmetric
from rtil_jax.inversion.defaults import build_method
from rtil_jax.inversion.noise import describe_noise, snr_of
from rtil_jax.inversion.settings import problem_of
from rtil_jax.inversion.sweep import load_priors, load_test_images
from rtil_jax.report.rows import ratio_name

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


def main(_: list[str]) -> None:
    rows = run_posterior(flags.FLAGS.config, flags.FLAGS.workdir)
    for name in dict.fromkeys(row["prior"] for row in rows):
        own = [row for row in rows if row["prior"] == name]
        means = {c: np.mean([row[c] for row in own]) for c in QUALITY}
        print(f"{name}: " + ", ".join(f"{c} {value:.3g}" for c, value in means.items()))


if __name__ == "__main__":
    config_flags.DEFINE_config_file(
        "config",
        None,
        "Inversion configuration with `chain`, FILE[:variant].",
        lock_config=False,
        accept_new_attributes=True,
    )
    flags.DEFINE_string("workdir", None, "Directory of the results.")
    flags.mark_flags_as_required(["config", "workdir"])
    run_main(main)
