"""Whether a checkpoint still is what was saved: two layers of CRC-32.

Of the arrays, before they are saved: in the metadata that Orbax writes with them. And
of the files, once they are complete: in one more file beside them. The first holds from
memory to memory; the second finds damage of any kind without parsing it, but is missing
where a run was killed right after a checkpoint (`unsealed.py`).
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
    """CRC-32 of the bytes of all leaves, in the order of the tree."""
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
    """Whether `seal` has been there.

    Raises:
        OSError: if that cannot be known.
    """
    try:
        os.stat(os.path.join(checkpoint, FILES))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def damage(checkpoint: str, items: tuple[str, ...]) -> str | None:
    """What is wrong with some items' files, or with those of no item; None if nothing.

    Damage is a file that is missing, that is not as it was saved, or that cannot be
    parsed; a file that cannot be read just now is not damaged.

    Raises:
        OSError: if a file is there and cannot be read.
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
    """Whether a file is of one of the items, or of none at all."""
    folder, inside, _ = name.partition("/")
    return not inside or folder in items


def _of_file(path: pathlib.Path) -> int:
    crc = 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
    return crc
