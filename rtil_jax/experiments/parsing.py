"""Between a `ConfigDict`, which files and flags change, and frozen dataclasses.

A `ConfigDict` goes no further than `parse`. Its fields, their defaults, help and checks
are those of a dataclass made with `rtil_jax.fields.field`; sections are dataclasses.
"""

import dataclasses
import json
from typing import Any, TypeVar

from ml_collections import ConfigDict

from rtil_jax.errors import UserError, did_you_mean
from rtil_jax.fields import ANY, checked

Run = TypeVar("Run")


def default_config(run: Any) -> ConfigDict:
    """The config whose values are those of `run`, an instance of a dataclass."""
    config = ConfigDict()
    for field in dataclasses.fields(run):
        value = getattr(run, field.name)
        section = dataclasses.is_dataclass(value)
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
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in config:
        if name not in fields:
            near = did_you_mean(name, fields, f"{path}.".removeprefix("config."))
            raise UserError(f"{path}.{name}: there is no such field{near}")
    values: dict[str, Any] = {}
    for name in fields:  # in this order, so that the same error is always the first
        if name in config:
            values[name] = _value(fields[name], config[name], f"{path}.{name}")
    return kind(**values)


def _value(field: dataclasses.Field, value: Any, path: str) -> Any:
    section = field.default is dataclasses.MISSING
    if section != isinstance(value, ConfigDict):
        found, expected = (value, "fields") if section else ("fields", "a value")
        raise UserError(f"{path}: found {found!r}, expected {expected}")
    if section:
        return parse(field.default_factory, value, path)  # type: ignore[arg-type]
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
