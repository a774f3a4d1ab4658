"""Draws samples of every member of the families of priors.

rtil samples --config configs/ablations/fig8.py --workdir runs/fig8
"""

import argparse

from rtil_jax.cli.flags import Parser
from rtil_jax.experiments.family_samples import draw_family_samples


def add_arguments(parser: Parser) -> None:
    parser.add_config(
        "Configuration of the picture, FILE[:variant].",
        "Directory of the picture.",
        open=True,
    )


def run(arguments: argparse.Namespace) -> None:
    print(f"figure    {draw_family_samples(arguments.config, arguments.workdir)}")
