"""Configurations: variants, checks and comparison.

A configuration file is a function `get_config(variant)` that returns a locked
`ml_collections.ConfigDict`; `configs/` holds one per experiment. Variants combine with
commas: `configs/quickstart.py:rtil,tiny`.
"""

import json
from typing import Any

from ml_collections import ConfigDict

from rtil_jax.errors import UserError
from rtil_jax.files import replacing


def parse_variants(variant: str | None, known: tuple[str, ...]) -> set[str]:
    """Splits `a,b` into {a, b}.

    Raises:
        UserError: for a variant that is not in `known`.
    """
    chosen = set(filter(None, (variant or "").split(",")))
    if unknown := chosen - set(known):
        raise UserError(
            f"config variant: found {sorted(unknown)[0]!r}, expected some of {known}"
        )
    return chosen


def require(condition: bool, field: str, found: Any, expected: str) -> None:
    """Raises UserError `config.FIELD: found FOUND, expected EXPECTED` unless true."""
    if not condition:
        raise UserError(f"config.{field}: found {found!r}, expected {expected}")


def save_config(config: dict, path: str) -> None:
    """Writes `config` as JSON, replacing `path` in one step."""
    with replacing(path) as file:
        json.dump(config, file, indent=2, sort_keys=True)
        file.write("\n")


def plain(config: ConfigDict) -> dict:
    """`config` as nested dicts and lists, as JSON would return it."""
    return json.loads(config.to_json_best_effort())


def first_difference(found: dict, expected: dict, free: tuple[str, ...]) -> str | None:
    """The first dotted field in which two configs differ, but for those in `free`.

    A dotted name in `free` covers everything below it, and nothing beside it: `method`
    leaves `method_for` as it is.
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
