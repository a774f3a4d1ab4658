"""Lists the config files of the package and of the working directory.

rtil configs
"""

import argparse

from rtil_jax.cli.command_help import print_first_lines
from rtil_jax.cli.config_files import known_configs, shipped
from rtil_jax.cli.flags import Parser


def add_arguments(parser: Parser) -> None:
    """Adds nothing: this command has no flags."""


def run(arguments: argparse.Namespace) -> None:
    print_first_lines(known_configs())
    print(f"\nThe package has them in {shipped() / 'configs'}: copy one to change it.")
