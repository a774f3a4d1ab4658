"""Checks that a checkpoint is still what was saved, by two layers of CRC-32.

The first layer is the checksum of the arrays before they are saved, which is in the
metadata that Orbax writes with them. It covers the way from memory to memory. The
second layer is the checksum of each complete file, which is in one more file. It finds
damage of any kind without parsing it, but is missing if a run was killed right after a
checkpoint (see `unsealed.py`).
"""

import json
import os
import pathlib
import zlib
from typing import Any

import jax
import numpy as np

from rtil_jax.checkpoints.unsealed import unsealed_damage
from rtil_jax.files import replacing

FILES = "crc32.json"
_CHUNK = 2**22


def checksum(tree: Any) -> int:
    """Returns the CRC-32 of the bytes of all leaves, in the order of the tree."""
    crc = 0
    for leaf in jax.tree.leaves(tree):
        crc = zlib.crc32(np.ascontiguousarray(leaf).data, crc)
    return crc


def seal(checkpoint: str) -> None:
    """Records the checksum of every file of a complete checkpoint, in one step."""
    root = pathlib.Path(checkpoint)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    sums = {path.relative_to(root).as_posix(): _of_file(path) for path in files}
    with replacing(str(root / FILES)) as file:
        json.dump(sums, file, indent=1)


def is_sealed(checkpoint: str) -> bool:
    """Tells whether `seal` has recorded the checksums.

    Raises:
        OSError: if the file system cannot say.
    """
    try:
        os.stat(os.path.join(checkpoint, FILES))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def damage(checkpoint: str, items: tuple[str, ...]) -> str | None:
    """Says what is wrong with the files of some items; None if nothing is.

    Files that belong to no item are checked too. A file is damaged if it is missing,
    differs from what was saved, or cannot be parsed. A file that cannot be read at the
    moment does not count as damaged.

    Raises:
        OSError: if a file exists but cannot be read.
    """
    if not is_sealed(checkpoint):
        return unsealed_damage(checkpoint, items)
    root = pathlib.Path(checkpoint)
    try:
        sums = json.loads((root / FILES).read_bytes())
        wanted = {name: crc for name, crc in sums.items() if _is_of(name, items)}
    except (ValueError, AttributeError):
        sums = {}
    if not sums:
        return f"{FILES} is not as it was saved"
    for name, expected in wanted.items():
        try:
            found = _of_file(root / name)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return f"{name} is missing"
        if found != expected:
            return f"{name} is not as it was saved"
    return None


def _is_of(name: str, items: tuple[str, ...]) -> bool:
    """Tells whether a file belongs to one of the items, or to no item."""
    folder, inside, _ = name.partition("/")
    return not inside or folder in items


def _of_file(path: pathlib.Path) -> int:
    crc = 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
    return crc
