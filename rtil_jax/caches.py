"""What is kept on disk to save work: bounded, and cleared by `clean-cache`.

Decoded images are in folders, one per set, of $RTIL_JAX_DATA or ~/.cache/rtil_jax.
Compiled programs are in ~/.cache/rtil_jax/compiled; where JAX's own variables name
another folder or bound, both are JAX's to keep.
"""

import contextlib
import os
import re
import secrets
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rtil_jax.errors import UserError
from rtil_jax.files import local_path
from rtil_jax.locks import hold, is_free, waiting

ROOT = os.path.join("~", ".cache", "rtil_jax")
COMPILED = os.path.join(ROOT, "compiled")
# Variable -> GiB without it.
BOUNDS = {"RTIL_JAX_IMAGES_GIB": 50.0, "RTIL_JAX_COMPILED_GIB": 5.0}
# Our sets of images are named so, and nothing else in the folder is ours.
_IMAGES = re.compile(r"(?:.+-)?\d+x\d+-[0-9a-f]{16}")
_IN_USE = "in_use"
_held: dict[Path, IO] = {}


def image_root(cache_dir: str | os.PathLike | None = None) -> Path:
    """The folder of the image cache."""
    chosen = cache_dir or os.environ.get("RTIL_JAX_DATA") or ROOT
    return Path(local_path(chosen, "cache_dir or RTIL_JAX_DATA")).absolute()


def bound(variable: str) -> int:
    """Bytes that a cache may have.

    Raises:
        UserError: if the variable is no number.
    """
    text = os.environ.get(variable, "") or str(BOUNDS[variable])
    try:
        gib = float(text)
    except ValueError:
        gib = -1.0
    if not 0 <= gib < float("inf"):
        raise UserError(f"{variable}: found {text!r}, expected a number of GiB")
    return int(gib * 2**30)


def use_images(entry: Path, make: bool = False) -> None:
    """Says that this process uses a set of images, or is to make it.

    No process removes it until this one has ended, however it ends. A cache that
    cannot be written is nobody's to remove.
    """
    path = _mark(entry)
    with contextlib.suppress(OSError), waiting(_lock(entry.parent)):
        path.parent.mkdir(parents=make, exist_ok=True)
        for other in path.parent.iterdir():
            if is_free(str(other)):  # of a process that has ended
                other.unlink()
        if path not in _held or not path.exists():
            _held[path] = hold(str(path))
        os.utime(entry)


def abandon_images(entry: Path) -> None:
    """Removes a set that was to be made and has nothing in it."""
    path = _mark(entry)
    with contextlib.suppress(OSError), waiting(_lock(entry.parent)):
        if path in _held:
            _held.pop(path).close()
        path.unlink(missing_ok=True)
        path.parent.rmdir()
        entry.rmdir()


def _mark(entry: Path) -> Path:
    """The file that says that this process uses a set."""
    return entry / _IN_USE / f"{os.getpid()}-{socket.gethostname()}"


def prune_images(root: Path, most: int) -> int:
    """Removes sets, those used longest ago first, until `most` bytes are left.

    Returns:
        The bytes that were removed. Sets that a process uses stay.
    """
    entries = [p for p in root.iterdir() if _IMAGES.fullmatch(p.name) and p.is_dir()]
    sizes, removed = {entry: size_of(entry) for entry in entries}, 0
    if sum(sizes.values()) <= most:
        return 0
    with contextlib.suppress(OSError), waiting(_lock(root)):  # or it is not ours
        for entry in sorted(entries, key=lambda path: path.stat().st_mtime_ns):
            if sum(sizes.values()) - removed <= most:
                break
            if not _is_used(entry):
                aside = root / f"removed.{secrets.token_hex(4)}"
                entry.rename(aside)  # Nobody ever sees a part of a set.
                shutil.rmtree(aside, ignore_errors=True)
                removed += sizes[entry]
    return removed


def _lock(root: Path) -> str:
    return str(root / f"{_IN_USE}.lock")


def _is_used(entry: Path) -> bool:
    """Whether a process that uses a set is alive."""
    folder = entry / _IN_USE
    return folder.is_dir() and not all(is_free(str(path)) for path in folder.iterdir())


def prune_compiled(most: int) -> int:
    """Removes programs, those used longest ago first; returns the bytes removed."""
    files = [
        (max(status.st_atime_ns, status.st_mtime_ns), status.st_size, path)
        for path, status in _files(Path(COMPILED).expanduser())
    ]
    excess, removed = sum(size for _, size, _ in files) - most, 0
    for _, size, path in sorted(files):
        if removed >= excess:
            break
        with contextlib.suppress(OSError):  # Another process was faster, or reads it.
            path.unlink()
            removed += size
    return removed


def size_of(folder: Path) -> int:
    """Bytes of all files in it; 0 if it is not there."""
    return sum(status.st_size for _, status in _files(folder))


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Those that no other process removes meanwhile."""
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if stat.S_ISREG((status := path.stat()).st_mode):
                yield path, status
