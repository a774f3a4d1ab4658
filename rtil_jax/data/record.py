"""Which images a run was made of: `images.json` in its directory.

It tells content, not places: the data may move, and must stay the same.
"""

import json
import os
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from rtil_jax.errors import UserError
from rtil_jax.files import read_json, replacing

NAME = "images.json"


@runtime_checkable
class Named(Protocol):
    """What is recorded: an `ImageSet`, or measurements of images."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the images."""

    @property
    def identities(self) -> tuple[str, ...]:
        """What tells the content of each from any other."""

    def describe(self) -> str:
        """How many of what."""

    def describe_cuts(self) -> str:
        """What was done to them."""


def has_record(directory: str) -> bool:
    """Whether it is known which images a run was made of; not of older ones."""
    return os.path.exists(os.path.join(directory, NAME))


def read_record(directory: str) -> dict[str, Any]:
    """`says`, `names`, `identities`, and what else was written; {} if there is none.

    Raises:
        UserError: if the file is damaged.
    """
    path = os.path.join(directory, NAME)
    if not has_record(directory):
        return {}
    expected = "the images that the run was made of"
    record = read_json(path, expected)
    fields = record.keys() if isinstance(record, dict) else set()
    if not {"says", "names", "identities"} <= fields:
        raise UserError(f"{path}: found other fields, expected {expected}")
    return record


def record_of(images: Named) -> dict[str, Any]:
    """What is recorded of images."""
    return {
        "says": images.describe(),
        "cut": images.describe_cuts(),
        "names": images.names,
        "identities": images.identities,
    }


def write_record(record: dict[str, Any], directory: str) -> None:
    """Replaces the record of a directory."""
    with replacing(os.path.join(directory, NAME)) as file:
        json.dump(record, file)


def difference(record: dict[str, Any], images: Named, prefix: bool = False) -> str:
    """How images differ from a record's: `2 added (such as b.png)`; "" if they do not.

    Args:
        record: that `read_record` has read.
        images: those that were found now.
        prefix: compare only as many as both have.
    """
    old = list(zip(record["names"], record["identities"], strict=True))
    new = list(zip(images.names, images.identities, strict=True))
    if prefix:
        both = min(len(old), len(new))
        if old[:both] == new[:both]:
            return ""
    before, now = dict(old), dict(new)
    found = {
        "added": [name for name in now if name not in before],
        "gone": [name for name in before if name not in now],
        "changed": [n for n in now if n in before and now[n] != before[n]],
    }
    parts = [_few(names, how) for how, names in found.items() if names]
    return ", ".join(parts)


def _few(names: Sequence[str], how: str) -> str:
    such = "" if len(names) == 1 else "such as "
    return f"{len(names):,} {how} ({such}{names[0]})"
