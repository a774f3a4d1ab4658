"""Checks a checkpoint without checksums, because its run was killed before sealing it.

Orbax keeps arrays in a database (TensorStore's OCDBT) that knows the size of every
value and has checksums of its own tables.
"""

import json
import pathlib

import tensorstore

CHECKPOINT_METADATA = "_CHECKPOINT_METADATA"
ITEM_METADATA = "_METADATA"
MANIFEST = "manifest.ocdbt"
# Metadata files of an item; both are JSON.
_MORE_METADATA = ("_sharding", "array_metadatas/*")
# TensorStore's codes for bytes that are wrong, too few or missing. Its other codes (no
# memory, no permission, a slow disk) do not mean damage.
_DAMAGE = {"DATA_LOSS", "OUT_OF_RANGE", "NOT_FOUND"}
# File that describes an array -> TensorStore's driver for it.
_DRIVERS = {"zarr.json": "zarr3", ".zarray": "zarr"}


def unsealed_damage(checkpoint: str, items: tuple[str, ...]) -> str | None:
    """Says what is missing, cannot be parsed or fails its checksum; None if nothing is.

    Raises:
        OSError: if a file exists but cannot be read.
    """
    root = pathlib.Path(checkpoint)
    needed = [root / CHECKPOINT_METADATA]
    needed += [root / i / n for i in items for n in (ITEM_METADATA, MANIFEST)]
    for path in needed:
        if not path.is_file():
            return f"{path.relative_to(root).as_posix()} is missing"
    texts = [path for path in needed if path.name != MANIFEST]
    for item in items:
        texts += [p for name in _MORE_METADATA for p in (root / item).glob(name)]
    for path in texts:
        if not _is_metadata(path):
            return f"{path.relative_to(root).as_posix()} is not JSON metadata"
    for item in items:
        if problem := _array_damage(root / item):
            return f"{item}: {problem}"
    return None


def _is_metadata(path: pathlib.Path) -> bool:
    """Tells whether a file is JSON with an object that is not empty."""
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        return False
    return isinstance(found, dict) and bool(found)


def _array_damage(item: pathlib.Path) -> str | None:
    for path in item.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:  # An OSError is raised as it is.
                file.read(1)
    base = {"driver": "ocdbt", "base": f"{item.absolute().as_uri()}/"}
    reasons = _DAMAGE
    try:
        keys = tensorstore.KvStore.open(base).result().list().result()
        for key in keys:
            array, _, name = key.decode(errors="replace").rpartition("/")
            if name in _DRIVERS:
                spec = {"driver": _DRIVERS[name], "kvstore": base | {"path": array}}
                opened = tensorstore.open(spec, open=True, read=True).result()
                reasons = _DAMAGE | {"FAILED_PRECONDITION"}  # It cannot be unpacked.
                opened.read().result()
                reasons = _DAMAGE
    except ValueError as error:
        first_line = str(error).strip().partition("\n")[0]
        if first_line.partition(":")[0] in reasons:
            return first_line
        raise
    return None
