"""`--help` of the programs with a config: flags, and the config's fields.

The help of a field of a training config stands with the field. That of another is the
comment before or after the line that sets it; that of a method's argument is in the
docstring of its class.
"""

import argparse
import ast
import glob
import io
import re
import textwrap
import tokenize
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from rtil_jax.experiments.parsing import help_texts

HELP = {"h", "help", "helpshort", "helpfull", "helpxml"}
WIDTH = 88


def asks_for_help(arguments: list[str]) -> bool:
    """Whether `-h`, `--help` or a longer one is among the arguments."""
    return any(is_help(argument) for argument in arguments)


def is_help(argument: str) -> bool:
    return argument.startswith("-") and argument.strip("-").split("=")[0] in HELP


def print_usage(command: ModuleType, flags: list[argparse.Action]) -> None:
    """What a command does, and its flags."""
    print((command.__doc__ or "").strip())
    print("\nflags:")
    for flag in flags:
        name = flag.option_strings[0] if flag.option_strings else flag.dest.upper()
        switch = not flag.option_strings or flag.const is True
        print(f"  {name}" + ("" if switch else f"={flag.metavar or 'VALUE'}"))
        print(_indented(flag.help or "", 6))


def print_configs(command: str) -> None:
    """The config files whose docstring has a command of that name."""
    print("\n--help --config=FILE[:variant] lists a config's fields. Configs:")
    for path in known_configs():
        about = ast.get_docstring(ast.parse(_read(path))) or ""
        if f"python {command}.py " in about or f"rtil_jax {command} " in about:
            print(f"  {path}\n{_indented(about.partition(chr(10))[0], 6)}")


def known_configs() -> list[str]:
    """Config files of the checkout, as paths from here."""
    return sorted(glob.glob("configs/**/*.py", recursive=True))


def print_fields(config: ConfigDict, path: str, called: str) -> None:
    """Every field with its value and its help.

    Args:
        config: the values.
        path: of the file that it is from.
        called: FILE[:variant].
    """
    print(f"\nfields of {called}, and their values:")
    about, fields = field_help(config, path), dict(flattened(config))
    sections = {field for field in about.keys() - fields if _is_section(config, field)}
    for field in sorted(fields.keys() | sections):
        value = fields.get(field, "")
        shown = value if isinstance(value, str) else repr(value)
        shown = repr(shown) if re.search(r"[\s()',]", shown) else shown
        print(f"  --config.{field}" + (f"={shown}" if field in fields else ""))
        if text := about.get(field):
            print(_indented(text, 6))


def flattened(config: ConfigDict, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of every field that is not a section."""
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


def field_help(config: ConfigDict, path: str) -> dict[str, str]:
    """Dotted field -> its help, for those that have one."""
    from rtil_jax.experiments.inversion import inversion_config as inversion
    from rtil_jax.experiments.training import training_config as training

    own = comments(_read(path))
    if "architecture" in config:
        kind = training.RUNS.get(config.architecture, training.StyleGAN2Run)
        known = help_texts(kind())
        default = kind.__dataclass_fields__
    elif "method" in config:
        known = inversion.inversion_help(config)
        default = inversion.inversion_config("ilo")
    else:
        return own
    # A file's comments on the library's fields are about its values.
    sections = {
        field: text for field, text in own.items() if field.split(".")[0] not in default
    }
    return sections | known


def comments(source: str) -> dict[str, str]:
    """Dotted field -> comment, of the assignments `config.section.field = value`.

    `config.section = section = ...` makes `section.field` another name of it. A comment
    on lines of its own is about the statement after it.
    """
    lines = io.StringIO(source).readline
    at = {
        token.start[0]: (token.string.lstrip("# "), token.line.lstrip().startswith("#"))
        for token in tokenize.generate_tokens(lines)
        if token.type == tokenize.COMMENT
    }
    found, sections = {}, {"config": ""}
    for node in ast.walk(ast.parse(textwrap.dedent(source))):
        if not isinstance(node, ast.Assign):
            continue
        names = [name for target in node.targets if (name := _dotted(target))]
        names += filter(None, [_dotted(node.value)])  # section = config.section
        for name in names:
            first, _, rest = name.partition(".")
            if not rest or first not in sections:
                continue
            field = f"{sections[first]}{rest}"
            sections |= {alias: f"{field}." for alias in names if "." not in alias}
            text = _comment_of(node, at)
            if text and field not in found:
                found[field] = text
    return found


def _dotted(node: ast.AST) -> str:
    """`a.b.c` of such an expression; else nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := _dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def _comment_of(node: ast.Assign, at: dict[int, tuple[str, bool]]) -> str:
    """The comment on the statement's own line, and those right above it."""
    text: list[str] = []
    line = node.lineno - 1
    while line in at and at[line][1]:
        text.insert(0, at[line][0])
        line -= 1
    if node.lineno in at and not at[node.lineno][1]:
        text.append(at[node.lineno][0])
    return " ".join(text)


def _indented(text: str, by: int) -> str:
    spaces = " " * by
    return textwrap.fill(
        " ".join(text.split()), WIDTH, initial_indent=spaces, subsequent_indent=spaces
    )


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
