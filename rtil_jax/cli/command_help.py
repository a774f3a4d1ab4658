"""`--help` of the programs with a config: flags, and the config's fields.

The help of a field is the comment before or after the line that sets its default; that
of a method's argument is in the docstring of its class.
"""

import ast
import glob
import inspect
import io
import os
import re
import sys
import textwrap
import tokenize
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from absl import flags
from ml_collections import ConfigDict

HELP = {"h", "help", "helpshort", "helpfull", "helpxml"}
WIDTH = 88


def asks_for_help(arguments: list[str]) -> bool:
    """Whether `-h`, `--help` or a longer one is among the arguments."""
    return any(is_help(argument) for argument in arguments)


def is_help(argument: str) -> bool:
    return argument.startswith("-") and argument.strip("-").split("=")[0] in HELP


def print_usage(module: ModuleType) -> None:
    """What the program of a module does, and its flags."""
    print((module.__doc__ or "").strip())
    print("\nflags:")
    for flag in key_flags(module):
        print(f"  --{flag.name}" + ("" if flag.boolean else "=VALUE"))
        print(_indented(flag.help or "", 6))


def key_flags(module: ModuleType) -> list[flags.Flag]:
    """The program's own flags, without other spellings."""
    # absl knows the module that runs by the name of its file.
    name = sys.argv[0] if module.__name__ == "__main__" else module.__name__
    found = flags.FLAGS.get_key_flags_for_module(name)
    return [flag for flag in found if "-" not in flag.name]


def print_configs(module: ModuleType) -> None:
    """The config files whose docstring has the command of a module's program."""
    print("\n--help --config=FILE[:variant] lists a config's fields. Configs:")
    program = os.path.basename(sys.argv[0])
    for path in known_configs():
        about = ast.get_docstring(ast.parse(_read(path))) or ""
        if f"python {program} " in about:
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
        kinds = {"stylegan2": training.stylegan2_config, "pggan": training.pggan_config}
        build = kinds.get(config.architecture, training.stylegan2_config)
        known = comments(inspect.getsource(training._config))
        known |= comments(inspect.getsource(build))
        default = build()
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
