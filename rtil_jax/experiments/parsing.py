"""Turns a `ConfigDict`, which files and flags change, into frozen dataclasses.

Code after `parse` does not see a `ConfigDict`. A dataclass whose fields are declared
with `rtil_jax.fields.field` has the fields, defaults, help and checks; its sections are
dataclasses too.
"""

import dataclasses
import json
from collections.abc import Callable
from typing import Any, TypeVar

from ml_collections import ConfigDict, FieldReference

from rtil_jax.errors import UserError, did_you_mean
from rtil_jax.fields import ANY, checked

Run = TypeVar("Run")


def open_section(help: str, read: Callable[[Any, str], Any] | None = None) -> Any:
    """Declares a section that maps names of the user's choice to values.

    Args:
        help: a sentence for `--help`.
        read: returns the checked value for (value, path of the field); None keeps the
            section as it is in the config.
    """

    def read_all(section: ConfigDict, path: str) -> Any:
        if read is None:
            return section
        return {name: read(value, f"{path}.{name}") for name, value in section.items()}

    return dataclasses.field(
        default_factory=dict, metadata={"help": help, "read": read_all}
    )


def default_config(run: Any) -> ConfigDict:
    """Returns a config with the values of `run`, an instance of a dataclass."""
    config = ConfigDict()
    for field in dataclasses.fields(run):
        value = getattr(run, field.name)
        section = dataclasses.is_dataclass(value)
        if field.metadata.get("any_type"):  # a number or a word, say
            value = FieldReference(value, field_type=object)
        config[field.name] = default_config(value) if section else value
    return config


def parse(kind: type[Run], config: ConfigDict, path: str = "config") -> Run:
    """Makes a dataclass of class `kind` from a config, and checks each value.

    A missing field gets its default, so configs of older runs can be read.

    Args:
        kind: a dataclass whose fields are declared by `rtil_jax.fields.field`.
        config: the config from a file and flags.
        path: the name of the config in errors.

    Raises:
        UserError: if a field is unknown or cannot be used; reports the first one.
    """
    check_names(kind, config, path)
    return kind(**given(kind, config, path))


def check_names(kind: Any, config: ConfigDict | dict, path: str) -> None:
    """Raises UserError if a field is unknown, also in sections.

    Args:
        kind: the dataclass with the known fields.
        config: the config to check.
        path: the name of the config in errors.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name, value in config.items():
        here = f"{path}.{name}"
        if name not in fields:
            near = did_you_mean(name, fields, f"{path}.".removeprefix("config."))
            raise UserError(f"{here}: found an unknown field{near}")
        section = fields[name].default is dataclasses.MISSING
        if section != isinstance(value, ConfigDict):
            found, expected = (value, "fields") if section else ("fields", "a value")
            raise UserError(f"{here}: found {found!r}, expected {expected}")
        if section and dataclasses.is_dataclass(fields[name].default_factory):
            check_names(fields[name].default_factory, value, here)


def given(kind: Any, config: ConfigDict, path: str) -> dict[str, Any]:
    """Returns the checked values of the fields that a config has.

    Args:
        kind: the dataclass with the known fields.
        config: a config that may lack fields.
        path: the name of the config in errors.
    """
    return {
        field.name: _value(field, config[field.name], f"{path}.{field.name}")
        for field in dataclasses.fields(kind)
        if field.name in config
    }


def _value(field: dataclasses.Field, value: Any, path: str) -> Any:
    if read := field.metadata.get("read"):  # such as that of an open section
        return read(value, path)
    if dataclasses.is_dataclass(section := field.default_factory):
        return section(**given(section, value, path))
    condition = field.metadata.get("condition", ANY)
    return checked(value, field.default, condition, path)


def as_json(run: Any) -> dict:
    """Returns the values of `run` as nested dicts and lists, as JSON would."""
    return json.loads(json.dumps(dataclasses.asdict(run)))


def help_texts(run: Any, prefix: str = "") -> dict[str, str]:
    """Returns {dotted field: help} of an instance of a dataclass and its sections."""
    found = {}
    for field in dataclasses.fields(run):
        name, value = f"{prefix}{field.name}", getattr(run, field.name)
        if text := field.metadata.get("help", ""):
            found[name] = text
        if dataclasses.is_dataclass(value):
            found |= help_texts(value, f"{name}.")
    return found
