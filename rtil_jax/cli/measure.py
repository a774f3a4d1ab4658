r"""Simulates measurements and saves them, for `invert.py --config.measurements=PATH`.

rtil measure --config configs/invert/ilo.py --to measured.npz \
    --config.priors.rtil=runs/rtil --config.problem=inpainting --config.ratios="(0.5,)"
"""

import argparse

from rtil_jax.cli.flags import Parser
from rtil_jax.experiments.measurements.writing import save_measurements


def add_arguments(parser: Parser) -> None:
    parser.open_config = True
    parser.add_argument(
        "--config",
        required=True,
        metavar="FILE[:variant]",
        help="Inversion configuration, FILE[:variant].",
    )
    parser.add_argument(
        "--to",
        required=True,
        metavar="PATH",
        help="a .npz for one problem and ratio, or a folder for several",
    )


def run(arguments: argparse.Namespace) -> None:
    for path in save_measurements(arguments.config, arguments.to):
        print(f"measured  {path}")
