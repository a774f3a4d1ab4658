"""Converts a public PyTorch checkpoint to a prior directory, or back.

python -m rtil_jax convert SOURCE.pt --to DIR [--style_fit gaussian_fit.pt]
python -m rtil_jax convert DIR --to OUT.pt
"""

import argparse
import sys

from rtil_jax.cli.command_line import show_own_warnings_only
from rtil_jax.convert.directory import convert
from rtil_jax.errors import UserError


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m rtil_jax convert", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "source", help="a file of torch.save or safetensors, or a directory"
    )
    parser.add_argument("--to", required=True, help="the directory, or the file")
    parser.add_argument("--style_fit", help="ILO's gaussian_fit.pt")
    parser.add_argument("--resolution", type=int, help="refuse any other")
    arguments = parser.parse_args()
    show_own_warnings_only()
    try:
        print(convert(**vars(arguments)))
    except UserError as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
