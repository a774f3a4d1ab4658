"""Helpers for configurations: variants, checks and comparison.

A configuration file defines a function `get_config(variant)` that returns a locked
`ml_collections.ConfigDict`; `configs/` holds one file per experiment. Variants combine
with commas: `configs/quickstart.py:rtil,tiny`.
"""

import json
from typing import Any

from ml_collections import ConfigDict

from rtil_jax.errors import UserError
from rtil_jax.files import replacing


def parse_variants(variant: str | None, known: tuple[str, ...]) -> set[str]:
    """Splits the variants `a,b` into {a, b}.

    Raises:
        UserError: if a variant is not in `known`.
    """
    chosen = set(filter(None, (variant or "").split(",")))
    if unknown := chosen - set(known):
        raise UserError(
            f"config variant: found {sorted(unknown)[0]!r}, expected some of {known}"
        )
    return chosen


def require(condition: bool, field: str, found: Any, expected: str) -> None:
    """Raises UserError `config.FIELD: found FOUND, expected EXPECTED` if a check fails.

    Args:
        condition: whether the field's value is right.
        field: the dotted name of the field.
        found: its value.
        expected: what the value should be, in words.
    """
    if not condition:
        raise UserError(f"config.{field}: found {found!r}, expected {expected}")


def save_config(config: dict, path: str) -> None:
    """Writes a config as JSON, replacing the file in one step."""
    with replacing(path) as file:
        json.dump(config, file, indent=2, sort_keys=True)
        file.write("\n")


def plain(config: ConfigDict) -> dict:
    """Converts a config to nested dicts and lists, as JSON would return it."""
    return json.loads(config.to_json_best_effort())


def first_difference(found: dict, expected: dict, free: tuple[str, ...]) -> str | None:
    """Returns the first dotted field in which two configs differ, or None.

    Args:
        found: one config.
        expected: the other one.
        free: dotted fields that may differ, with everything below them. `method` does
            not cover `method_for`.
    """
    for name in sorted(found.keys() | expected.keys()):
        if name in free or found.get(name) == expected.get(name):
            continue
        a, b = found.get(name), expected.get(name)
        if not (isinstance(a, dict) and isinstance(b, dict)):
            return name
        here = f"{name}."
        below = tuple(f.removeprefix(here) for f in free if f.startswith(here))
        if deeper := first_difference(a, b, below):
            return f"{name}.{deeper}"
    return None
