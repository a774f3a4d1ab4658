"""Scores every member of a prior's family against real images.

python -m rtil_jax score --prior DIR|pretrained:NAME --images SOURCE
    [--split test] [--count 1000] [--seed 0] [--to scores.json]
"""

import argparse
import json
import sys

from rtil_jax.cli.command_line import show_own_warnings_only
from rtil_jax.errors import UserError
from rtil_jax.experiments.scoring import score_prior, score_table
from rtil_jax.files import local_path, replacing


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m rtil_jax score", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--prior", required=True, help="a directory or pretrained:NAME")
    parser.add_argument("--images", required=True, help="a folder, zip or tfds:NAME")
    parser.add_argument("--split", default="test")
    parser.add_argument("--count", type=int, default=1_000, help="images of each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to", help="a JSON file to write as well")
    flags = parser.parse_args()
    show_own_warnings_only()
    try:
        to = local_path(flags.to, "--to") if flags.to else ""
        scores = score_prior(
            flags.prior, flags.images, flags.split, flags.count, flags.seed
        )
        print(score_table(scores))
        if to:
            save(scores, to)
    except UserError as error:
        sys.exit(f"error: {' '.join(str(error).split())}")


def save(scores: dict, path: str) -> None:
    """Raises UserError if the file cannot be written."""
    try:
        with replacing(path) as file:
            json.dump(scores, file, indent=2)
            file.write("\n")
    except OSError as error:
        raise UserError(f"--to={path}: cannot be written ({error.strerror})") from error
