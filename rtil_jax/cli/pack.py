"""Makes a packaged prior, `pretrained:NAME`, of a training directory.

python -m rtil_jax pack DIR NAME --data "..." --licence "..." --hardware "..."
    --command "python train.py ..." [--scores scores.json]
"""

import argparse
import sys

from rtil_jax.cli.command_line import show_own_warnings_only
from rtil_jax.errors import UserError
from rtil_jax.experiments.publishing.card import Notes
from rtil_jax.experiments.publishing.export import export


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m rtil_jax pack", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("directory", help="that train.py has written")
    parser.add_argument("name")
    card = parser.add_argument_group("for the card", "what the run does not record")
    card.add_argument("--data", required=True, help="what the images are")
    card.add_argument("--licence", required=True, help="of the images")
    card.add_argument("--hardware", required=True, help="that it was trained on")
    card.add_argument("--command", required=True, help="that trained it")
    card.add_argument("--scores", help="a file of python -m rtil_jax score")
    flags = parser.parse_args()
    show_own_warnings_only()
    notes = Notes(flags.data, flags.licence, flags.hardware, flags.command)
    try:
        print(export(flags.directory, flags.name, notes, flags.scores))
    except UserError as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
