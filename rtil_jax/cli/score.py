"""Scores every member of a prior's family against real images.

rtil score --prior DIR|pretrained:NAME --images SOURCE
    [--split test] [--count 1000] [--seed 0] [--to scores.json]
"""

import argparse
import json

from rtil_jax.cli.flags import Parser, integer
from rtil_jax.errors import UserError
from rtil_jax.experiments.scoring import score_prior, score_table
from rtil_jax.files import local_path, replacing


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--prior", required=True, help="a directory or pretrained:NAME")
    parser.add_argument("--images", required=True, help="a folder, zip or tfds:NAME")
    parser.add_argument("--split", default="test")
    parser.add_argument(
        "--count", type=integer, default=1_000, help="number of images of each member"
    )
    parser.add_argument("--seed", type=integer, default=0)
    parser.add_argument("--to", help="a JSON file to write as well")


def run(arguments: argparse.Namespace) -> None:
    to = local_path(arguments.to, "--to") if arguments.to else ""
    scores = score_prior(
        arguments.prior,
        arguments.images,
        arguments.split,
        arguments.count,
        arguments.seed,
    )
    print(score_table(scores))
    if to:
        save(scores, to)


def save(scores: dict, path: str) -> None:
    """Writes scores as JSON; raises UserError if the file cannot be written."""
    try:
        with replacing(path) as file:
            json.dump(scores, file, indent=2)
            file.write("\n")
    except OSError as error:
        raise UserError(f"--to={path}: cannot be written ({error.strerror})") from error
