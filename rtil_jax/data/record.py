"""The record of the images that a run used: `images.json` in its directory.

It identifies images by content, not by place: the data may move, but must not change.
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
    """What can be recorded: an `ImageSet`, or measurements of images."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the images."""

    @property
    def identities(self) -> tuple[str, ...]:
        """Identify the content of each image."""

    def describe(self) -> str:
        """Says how many images of what these are."""

    def describe_cuts(self) -> str:
        """Says what was cut off."""


def has_record(directory: str) -> bool:
    """Tells whether a directory records its images; those of old versions do not."""
    return os.path.exists(os.path.join(directory, NAME))


def read_record(directory: str) -> dict[str, Any]:
    """Reads `says`, `names`, `identities` and the rest of a record; {} without one.

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
        raise UserError(f"{path}: found wrong fields, expected {expected}")
    return record


def record_of(images: Named) -> dict[str, Any]:
    """Returns the record of images."""
    return {
        "says": images.describe(),
        "cut": images.describe_cuts(),
        "names": images.names,
        "identities": images.identities,
    }


def write_record(record: dict[str, Any], directory: str) -> None:
    """Writes the record of a directory, replacing an old one."""
    with replacing(os.path.join(directory, NAME)) as file:
        json.dump(record, file)


def difference(record: dict[str, Any], images: Named, prefix: bool = False) -> str:
    """Says how images differ from a record: `2 added (such as b.png)`; "" if equal.

    Args:
        record: from `read_record`.
        images: the present images.
        prefix: compare only as many images as both have.
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
