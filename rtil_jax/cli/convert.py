"""Converts a public PyTorch checkpoint to a prior directory, or back.

rtil convert SOURCE.pt --to DIR [--style_fit gaussian_fit.pt]
rtil convert DIR --to OUT.pt
"""

import argparse

from rtil_jax.cli.flags import Parser, integer
from rtil_jax.convert.directory import convert


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "source", help="a file of torch.save or safetensors, or a prior directory"
    )
    parser.add_argument(
        "--to", required=True, help="the directory or the file to write"
    )
    parser.add_argument("--style_fit", help="ILO's gaussian_fit.pt")
    parser.add_argument(
        "--resolution", type=integer, help="refuse a network of another resolution"
    )


def run(arguments: argparse.Namespace) -> None:
    to, style_fit = arguments.to, arguments.style_fit
    print(convert(arguments.source, to, style_fit, arguments.resolution))
