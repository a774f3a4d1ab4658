"""Computes and draws the errors of the linear model of Section 5.

rtil theory --config configs/ablations/theory.py --workdir runs/theory
"""

import argparse

from rtil_jax.cli.flags import Parser
from rtil_jax.experiments.theory.experiment import run_theory


def add_arguments(parser: Parser) -> None:
    parser.add_config(
        "Theory configuration, FILE[:variant].", "Directory of the results.", open=False
    )


def run(arguments: argparse.Namespace) -> None:
    run_theory(arguments.config, arguments.workdir)
