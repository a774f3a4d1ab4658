r"""Draws samples from the posterior of test images by Langevin chains.

rtil posterior --config configs/ablations/posterior.py \
    --workdir runs/posterior
"""

import argparse

import numpy as np

from rtil_jax.cli.flags import Parser
from rtil_jax.experiments.posterior import QUALITY, run_posterior


def add_arguments(parser: Parser) -> None:
    parser.add_config(
        "Inversion configuration with a section `chain`, FILE[:variant].",
        "Directory of the results.",
        open=True,
    )


def run(arguments: argparse.Namespace) -> None:
    rows = run_posterior(arguments.config, arguments.workdir)
    for name in dict.fromkeys(row["prior"] for row in rows):
        own = [row for row in rows if row["prior"] == name]
        means = {c: np.mean([row[c] for row in own]) for c in QUALITY}
        print(f"{name}: " + ", ".join(f"{c} {value:.3g}" for c, value in means.items()))
