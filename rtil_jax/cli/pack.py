"""Makes a packaged prior, `pretrained:NAME`, from a training directory.

rtil pack DIR NAME --data "..." --licence "..." --hardware "..."
    --command "python train.py ..." [--scores scores.json]
"""

import argparse

from rtil_jax.cli.flags import Parser
from rtil_jax.experiments.publishing.card import Notes
from rtil_jax.experiments.publishing.export import export


def add_arguments(parser: Parser) -> None:
    parser.add_argument("directory", help="a training directory")
    parser.add_argument("name")
    # The run does not record these.
    parser.add_argument("--data", required=True, help="what the images are")
    parser.add_argument("--licence", required=True, help="the licence of the images")
    parser.add_argument("--hardware", required=True, help="what it was trained on")
    parser.add_argument("--command", required=True, help="the command that trained it")
    parser.add_argument("--scores", help="a file that rtil score has written")


def run(arguments: argparse.Namespace) -> None:
    notes = Notes(
        arguments.data, arguments.licence, arguments.hardware, arguments.command
    )
    print(export(arguments.directory, arguments.name, notes, arguments.scores))
