"""Between a `ConfigDict`, which files and flags change, and frozen dataclasses.

A `ConfigDict` goes no further than `parse`. Its fields, their defaults, help and checks
are those of a dataclass made with `rtil_jax.fields.field`; sections are dataclasses.
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
    """A field that holds a value for each of some names, none by default.

    Args:
        help: a sentence for people.
        read: (value, path) -> the checked value of one name; without it the section
            stays as the config has it.
    """

    def read_all(section: ConfigDict, path: str) -> Any:
        if read is None:
            return section
        return {name: read(value, f"{path}.{name}") for name, value in section.items()}

    return dataclasses.field(
        default_factory=dict, metadata={"help": help, "read": read_all}
    )


def default_config(run: Any) -> ConfigDict:
    """The config whose values are those of `run`, an instance of a dataclass."""
    config = ConfigDict()
    for field in dataclasses.fields(run):
        value = getattr(run, field.name)
        section = dataclasses.is_dataclass(value)
        if field.metadata.get("any_type"):  # a number or a word, say
            value = FieldReference(value, field_type=object)
        config[field.name] = default_config(value) if section else value
    return config


def parse(kind: type[Run], config: ConfigDict, path: str = "config") -> Run:
    """The dataclass `kind` with the values of `config`, each of them checked.

    A field that `config` lacks has its default, so configs of older runs are read.

    Args:
        kind: a dataclass whose fields are made by `rtil_jax.fields.field`.
        config: what a file and flags say.
        path: what to call it in errors.

    Raises:
        UserError: for the first field that does not exist or cannot be used.
    """
    check_names(kind, config, path)
    return kind(**given(kind, config, path))


def check_names(kind: Any, config: ConfigDict | dict, path: str) -> None:
    """Raises UserError for a field that does not exist, in sections too."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name, value in config.items():
        here = f"{path}.{name}"
        if name not in fields:
            near = did_you_mean(name, fields, f"{path}.".removeprefix("config."))
            raise UserError(f"{here}: there is no such field{near}")
        section = fields[name].default is dataclasses.MISSING
        if section != isinstance(value, ConfigDict):
            found, expected = (value, "fields") if section else ("fields", "a value")
            raise UserError(f"{here}: found {found!r}, expected {expected}")
        if section and dataclasses.is_dataclass(fields[name].default_factory):
            check_names(fields[name].default_factory, value, here)


def given(kind: Any, config: ConfigDict, path: str) -> dict[str, Any]:
    """The checked values of those fields of `kind` that `config` has."""
    return {
        field.name: _value(field, config[field.name], f"{path}.{field.name}")
        for field in dataclasses.fields(kind)
        if field.name in config
    }


def _value(field: dataclasses.Field, value: Any, path: str) -> Any:
    if read := field.metadata.get("read"):  # of an open section, say
        return read(value, path)
    if dataclasses.is_dataclass(section := field.default_factory):
        return section(**given(section, value, path))
    condition = field.metadata.get("condition", ANY)
    return checked(value, field.default, condition, path)


def as_json(run: Any) -> dict:
    """The values of `run` as nested dicts and lists, as JSON would return them."""
    return json.loads(json.dumps(dataclasses.asdict(run)))


def help_texts(run: Any, prefix: str = "") -> dict[str, str]:
    """Dotted field -> its help, of an instance of a dataclass and all its sections."""
    found = {}
    for field in dataclasses.fields(run):
        name, value = f"{prefix}{field.name}", getattr(run, field.name)
        if text := field.metadata.get("help", ""):
            found[name] = text
        if dataclasses.is_dataclass(value):
            found |= help_texts(value, f"{name}.")
    return found
