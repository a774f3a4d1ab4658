"""The flags of a command, parsed by argparse; errors are one line that says what to
write."""

import argparse
import difflib
import re
from types import ModuleType
from typing import Any, NoReturn

from rtil_jax.cli.config_flags import (
    BOOLEANS,
    load_config_file,
    override,
    split_overrides,
)
from rtil_jax.errors import UserError


def integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        message = f"found {text!r}, expected an integer"
        raise argparse.ArgumentTypeError(message) from None


def boolean(text: str) -> bool:
    if text.lower() not in BOOLEANS:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected true or false")
    return BOOLEANS[text.lower()]


class Parser(argparse.ArgumentParser):
    """The flags and positional arguments of a command.

    Attributes:
        flags: all of them, in order, for the help.
        open_config: whether the config may have new fields; None without a config.
    """

    def __init__(self) -> None:
        super().__init__(add_help=False, allow_abbrev=False, exit_on_error=False)
        self.flags: list[argparse.Action] = []
        self.needed: list[argparse.Action] = []
        self.open_config: bool | None = None

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        """Adds an argument as argparse does; required ones are checked later."""
        needed = options.pop("required", not names[0].startswith("-"))
        if not names[0].startswith("-"):
            options["nargs"] = "?"
        action = super().add_argument(*names, **options)
        self.flags.append(action)
        if needed:
            self.needed.append(action)
        return action

    def add_switch(self, name: str, help: str) -> None:
        """Adds a flag that is off by default, on if given, or has a value."""
        self.add_argument(
            name, nargs="?", const=True, default=False, type=boolean, help=help
        )

    def add_config(self, help: str, workdir: str, open: bool = False) -> None:
        """Adds the flags `--config`, with its fields, and `--workdir`.

        Args:
            help: what the config is, for `--help`.
            workdir: what the directory is, for `--help`.
            open: whether the config may have new fields.
        """
        self.open_config = open
        self.add_argument(
            "--config", required=True, metavar="FILE[:variant]", help=help
        )
        self.add_argument("--workdir", required=True, metavar="DIR", help=workdir)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"command line: {message}")


def parser_of(command: ModuleType) -> Parser:
    parser = Parser()
    command.add_arguments(parser)
    return parser


def parse_arguments(
    parser: Parser, words: list[str], check_needed: bool = True
) -> argparse.Namespace:
    """Parses the words of a command line; `config` becomes a ConfigDict.

    Args:
        parser: with the flags of the command.
        words: the words after the command.
        check_needed: whether to refuse missing flags.

    Raises:
        UserError: if a flag, value or config cannot be used.
    """
    words = [re.sub("^-(?=[A-Za-z]{2})", "--", word) for word in words]
    overrides: list[tuple[str, str | None]] = []
    if parser.open_config is not None:
        words, overrides = split_overrides(words)
    found, unknown = _known(parser, words)
    called = getattr(found, "config", None)
    config = None
    if called is not None:
        config = load_config_file(called, not parser.open_config)
    if unknown:
        raise UserError(_explain(unknown, parser))
    missing = [a for a in parser.needed if getattr(found, a.dest) is None]
    if missing and check_needed:
        names = " and no ".join(map(called_by, missing))
        expected = " ".join(
            f"{called_by(a)} {a.metavar or 'VALUE'}" if a.option_strings else a.dest
            for a in parser.needed
        )
        raise UserError(f"command line: found no {names}, expected {expected}")
    if config is not None:
        override(config, overrides, not parser.open_config)
        found.config, found.config_file = config, called
    return found


def called_by(action: argparse.Action) -> str:
    return action.option_strings[0] if action.option_strings else action.dest.upper()


def _known(parser: Parser, words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    try:
        return parser.parse_known_args(words)
    except argparse.ArgumentError as error:
        name = error.argument_name
        if isinstance(error.__context__, argparse.ArgumentTypeError):
            raise UserError(f"{name}: {error.message}") from error
        raise UserError(f"{name}: found no value, expected {name}=VALUE") from error


def _explain(unknown: list[str], parser: Parser) -> str:
    """Says what to write instead of an unknown word or flag."""
    flags = [word for word in unknown if word.startswith("-")]
    if not flags:
        return f"command line: found {unknown[0]!r}, expected --NAME=VALUE only"
    name = flags[0].partition("=")[0].lstrip("-")
    own = [a.option_strings[0][2:] for a in parser.flags if a.option_strings]
    near = difflib.get_close_matches(name.replace("-", "_"), own, 1, 0.7)
    if near:
        return f"--{name}: found no such flag; did you mean --{near[0]}?"
    expected = "one of " + ", ".join(f"--{flag}" for flag in own)
    if parser.open_config is not None:
        expected += ", or a field of the config as --config.FIELD=VALUE"
    return f"--{name}: found no such flag, expected {expected}"
