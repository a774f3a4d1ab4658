"""Makes a prior of faces from the PyPI package `gan-face-generate`.

rtil dcgan-faces --wheel gan_face_generate-1.1.1-py3-none-any.whl --to DIR
"""

import argparse

from rtil_jax.cli.flags import Parser
from rtil_jax.convert.dcgan_faces import write_prior


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--wheel", required=True, help="gan_face_generate-1.1.1-*.whl")
    parser.add_argument("--to", required=True, help="a new directory")


def run(arguments: argparse.Namespace) -> None:
    write_prior(arguments.wheel, arguments.to)
    print(f"prior     {arguments.to}; use it with --config.priors.dcgan={arguments.to}")
