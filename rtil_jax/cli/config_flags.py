"""Reads `--config FILE.py[:variant]` and overrides of its fields,
`--config.FIELD=VALUE`."""

import ast
import difflib
import os
import re
from collections.abc import Iterable
from typing import Any

from ml_collections import ConfigDict

from rtil_jax.cli.config_files import find_config, importable, known_configs
from rtil_jax.errors import UserError
from rtil_jax.files import run_python

BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_FLAG = re.compile(r"--?(no)?config\.([^=]*)(?:=(.*))?", re.DOTALL)


def split_overrides(words: list[str]) -> tuple[list[str], list[tuple[str, str | None]]]:
    """Returns (other words, [(field, text) of each override]); a text may be None."""
    others: list[str] = []
    overrides: list[tuple[str, str | None]] = []
    rest = list(words)
    while rest:
        found = _FLAG.fullmatch(word := rest.pop(0))
        if not found:
            others.append(word)
            continue
        no, field, text = found.groups()
        if no:
            text = "false"
        elif text is None and rest and not re.match("--?[A-Za-z]", rest[0]):
            text = rest.pop(0)
        overrides.append((field, text))
    return others, overrides


def load_config_file(called: str, locked: bool) -> ConfigDict:
    """Runs `get_config` of FILE.py[:variant] and returns its config.

    Args:
        called: FILE.py, or FILE.py:variant; see `find_config`.
        locked: whether the config refuses new fields.

    Raises:
        UserError: if the file does not exist or raises an error, in one line.
    """
    path, *variant = called.split(":", 1)
    path = find_config(path)
    if not os.path.isfile(path):
        expected = f"expected FILE.py[:variant]{_similar(path)}"
        raise UserError(f"--config: found no file {path!r}, {expected}")
    try:
        with importable(path):
            config = run_python(path, "config_file").get_config(*variant)
    except UserError:
        raise
    except Exception as error:  # A config file may raise anything.
        raise UserError(f"{path}: {type(error).__name__}: {error}") from error
    if not isinstance(config, ConfigDict):
        found = type(config).__name__
        raise UserError(f"{path}: found {found} from get_config, expected a ConfigDict")
    return config.lock() if locked else config.unlock()


def _similar(path: str) -> str:
    """Suggests a config that `path` may have meant; "" if none is similar."""
    stems = {os.path.splitext(os.path.basename(c))[0]: c for c in known_configs()}
    stem = os.path.splitext(os.path.basename(path))[0]
    near = difflib.get_close_matches(stem, stems, 1)
    return f"; did you mean {stems[near[0]]}?" if near else "; see rtil configs"


def override(
    config: ConfigDict, overrides: list[tuple[str, str | None]], locked: bool
) -> None:
    """Sets fields of a config from the texts of flags, by the types of the old values.

    Several flags for one tuple append to it.

    Args:
        config: the config to change.
        overrides: (dotted field, text) of each flag.
        locked: whether to refuse new fields.

    Raises:
        UserError: if a field is unknown, or a text has the wrong type.
    """
    tuples: dict[str, tuple] = {}
    for field, text in overrides:
        flag = f"--config.{field}"
        *sections, name = field.split(".")
        holder = config
        for section in sections:
            holder = _section(holder, section, flag, locked)
        if name not in holder and (locked or not name):
            raise UserError(_no_field(flag, name, holder))
        old = holder.get(name)
        if text is not None and _is_any(holder, name):
            value = _literal(text)
        else:
            value = _value(text, old, name in holder, flag)
        if isinstance(old, tuple):
            value = tuples[field] = tuples.get(field, ()) + value
        holder[name] = value


def _is_any(holder: ConfigDict, name: str) -> bool:
    """Whether a field takes values of any type, which its parser then checks."""
    return name in holder and holder.get_type(name) is object


def _section(holder: ConfigDict, name: str, flag: str, locked: bool) -> ConfigDict:
    """Returns the section of that name; makes it in an open section of sections."""
    if name in holder:
        if not isinstance(holder[name], ConfigDict):
            expected = "a section with fields"
            raise UserError(f"{flag}: found {name!r}, a value, expected {expected}")
        return holder[name]
    of_sections = all(isinstance(value, ConfigDict) for value in holder.values())
    if locked or not name or not of_sections or _near(name, holder):
        raise UserError(_no_field(flag, name, holder))
    holder[name] = ConfigDict()
    return holder[name]


def _near(name: str, known: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(name, list(known), 1, 0.75)


def _no_field(flag: str, name: str, holder: ConfigDict) -> str:
    near = _near(name, holder)
    also = f"; did you mean {near[0]!r}?" if near else ""
    return f"{flag}: found no field {name!r}{also}"


def _value(text: str | None, old: Any, known: bool, flag: str) -> Any:
    """Reads a text as a value of the type of `old`, or of any type if not `known`."""
    if text is None:
        if not known or isinstance(old, bool):
            return True
        raise UserError(f"{flag}: found no value, expected {flag}=VALUE")
    for kind, read, expected in (
        (bool, lambda text: BOOLEANS[text.lower()], "true or false"),
        (int, _integer, "an integer"),
        (float, float, "a number"),
        (str, str, ""),
        (tuple, _tuple, "a tuple such as (1, 2)"),
        (ConfigDict, _fields, "one of its fields, --config.SECTION.FIELD=VALUE"),
    ):
        if isinstance(old, kind):
            try:
                return read(text)
            except (ValueError, KeyError, SyntaxError, TypeError) as error:
                message = f"{flag}: found {text!r}, expected {expected}"
                raise UserError(message) from error
    return _literal(text)


def _integer(text: str) -> int:
    return int(text, {"0o": 8, "0x": 16}.get(text[:2].lower(), 10))


def _tuple(text: str) -> tuple:
    """Reads a tuple; a single number or word becomes a tuple of one."""
    try:
        value = ast.literal_eval(text)
    except SyntaxError:
        if "," in text or " " in text:
            raise
        value = text
    except ValueError:  # a word
        value = text
    return tuple(value) if isinstance(value, tuple | list | set) else (value,)


def _fields(text: str) -> ConfigDict:
    value = ast.literal_eval(text)
    if not isinstance(value, dict):
        raise ValueError(text)
    return ConfigDict(value)


def _literal(text: str) -> Any:
    """Reads a Python literal; returns any other text as it is."""
    text = text.capitalize() if text in ("true", "false") else text
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text
    return ConfigDict(value) if isinstance(value, dict) else value
