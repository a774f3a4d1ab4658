"""Whether a checkpoint still is what was saved: two layers of CRC-32.

Of the arrays, before they are saved: in the metadata that Orbax writes with them. And
of the files, once they are complete: in one more file beside them. The first holds from
memory to memory; the second finds damage of any kind without parsing it, but is missing
where a run was killed right after a checkpoint.
"""

import json
import os
import pathlib
import zlib
from typing import Any

import jax
import numpy as np

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
    partial = root / f"{FILES}.partial"
    partial.write_text(json.dumps(sums, indent=1))
    os.replace(partial, root / FILES)


def is_sealed(checkpoint: str) -> bool:
    """Whether `seal` has been there."""
    return os.path.exists(os.path.join(checkpoint, FILES))


def damage(checkpoint: str, items: tuple[str, ...]) -> str | None:
    """What is wrong with some items' files, or with those of no item; None if nothing.

    Nothing is known to be wrong with a checkpoint that was never sealed.
    """
    root = pathlib.Path(checkpoint)
    if not is_sealed(checkpoint):
        return None
    try:
        sums = json.loads((root / FILES).read_text())
        for name, expected in sums.items():
            folder = name.rpartition("/")[0].partition("/")[0]
            if folder and folder not in items:
                continue
            if not (root / name).is_file():
                return f"{name} is missing"
            if _of_file(root / name) != expected:
                return f"{name} is not as it was saved"
    except OSError as error:
        return f"{error.filename} cannot be read: {error.strerror}"
    except (ValueError, AttributeError):
        return f"{FILES} is not as it was saved"
    return None


def _of_file(path: pathlib.Path) -> int:
    crc = 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
    return crc
