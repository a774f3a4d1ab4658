"""Prints `--help` of a command: its flags, and the fields of its config.

The help of a field is declared with the field; the help of a method's argument comes
from the docstring of its class.
"""

import argparse
import re
import textwrap
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from rtil_jax.cli.config_files import about, known_configs
from rtil_jax.experiments.parsing import help_texts

HELP = {"h", "help", "helpshort", "helpfull", "helpxml"}
WIDTH = 88


def asks_for_help(arguments: list[str]) -> bool:
    """Tells whether `-h`, `--help` or the like is among the arguments."""
    return any(is_help(argument) for argument in arguments)


def is_help(argument: str) -> bool:
    return argument.startswith("-") and argument.strip("-").split("=")[0] in HELP


def print_usage(command: ModuleType, flags: list[argparse.Action]) -> None:
    """Prints what a command does, and its flags."""
    print((command.__doc__ or "").strip())
    print("\nflags:")
    for flag in flags:
        name = flag.option_strings[0] if flag.option_strings else flag.dest.upper()
        switch = not flag.option_strings or flag.const is True
        print(f"  {name}" + ("" if switch else f"={flag.metavar or 'VALUE'}"))
        print(_indented(flag.help or "", 6))


def print_configs(command: str) -> None:
    """Lists the config files whose docstring contains a command of this name."""
    print("\n--help --config=FILE[:variant] lists a config's fields. Configs:")
    called = re.compile(rf"python {command}\.py |rtil {command} ")
    print_first_lines(path for path in known_configs() if called.search(about(path)))


def print_first_lines(paths: Iterable[str]) -> None:
    """Prints each config file and the first line of its docstring."""
    for path in paths:
        print(f"  {path}\n{_indented(about(path).partition(chr(10))[0], 6)}")


def print_fields(config: ConfigDict, called: str) -> None:
    """Prints every field of a config, with its value and its help."""
    print(f"\nfields of {called}, and their values:")
    helps, fields = field_help(config), dict(flattened(config))
    sections = {field for field in helps.keys() - fields if _is_section(config, field)}
    for field in sorted(fields.keys() | sections):
        value = fields.get(field, "")
        shown = value if isinstance(value, str) else repr(value)
        shown = repr(shown) if re.search(r"[\s()',]", shown) else shown
        print(f"  --config.{field}" + (f"={shown}" if field in fields else ""))
        if text := helps.get(field):
            print(_indented(text, 6))


def flattened(config: ConfigDict, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields (dotted name, value) of every field that is not a section."""
    for name in config:
        if isinstance(config[name], ConfigDict):
            yield from flattened(config[name], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", config[name]


def _is_section(config: Any, field: str) -> bool:
    for name in field.split("."):
        if not isinstance(config, ConfigDict) or name not in config:
            return False
        config = config[name]
    return isinstance(config, ConfigDict)


def field_help(config: ConfigDict) -> dict[str, str]:
    """Returns {dotted field: help} for the fields that have help."""
    from rtil_jax.experiments import posterior_config
    from rtil_jax.experiments.family_samples import SamplesRun
    from rtil_jax.experiments.inversion.inversion_config import inversion_help
    from rtil_jax.experiments.theory.theory_config import TheoryRun
    from rtil_jax.experiments.training import training_config as training

    if "architecture" in config:
        return help_texts(
            training.RUNS.get(config.architecture, training.StyleGAN2Run)()
        )
    if "method" in config:
        chain = help_texts(posterior_config.Chain(), "chain.")
        return inversion_help(config) | (chain if "chain" in config else {})
    return help_texts(TheoryRun() if "learned" in config else SamplesRun())


def _indented(text: str, by: int) -> str:
    spaces = " " * by
    return textwrap.fill(
        " ".join(text.split()), WIDTH, initial_indent=spaces, subsequent_indent=spaces
    )
