"""The caches on disk: bounds their size, and empties them for `clean-cache`.

Decoded images are in $RTIL_JAX_DATA or ~/.cache/rtil_jax, with a folder for each set.
Compiled programs are in ~/.cache/rtil_jax/compiled. If JAX's own variables name another
folder or bound, JAX manages both.
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
# Variable -> its default, in GiB.
BOUNDS = {"RTIL_JAX_IMAGES_GIB": 50.0, "RTIL_JAX_COMPILED_GIB": 5.0}
# Sets of images have such names; we touch nothing else in the folder.
_IMAGES = re.compile(r"(?:.+-)?\d+x\d+-[0-9a-f]{16}")
_IN_USE = "in_use"
_held: dict[Path, IO] = {}


def image_root(cache_dir: str | os.PathLike | None = None) -> Path:
    """Returns the folder of the image cache."""
    chosen = cache_dir or os.environ.get("RTIL_JAX_DATA") or ROOT
    return Path(local_path(chosen, "cache_dir or RTIL_JAX_DATA")).absolute()


def bound(variable: str) -> int:
    """Returns the most bytes that a cache may have.

    Raises:
        UserError: if the environment variable is not a number.
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
    """Marks a set of images as used by this process, or about to be made by it.

    No process removes the set until this process has ended, however it ends. In a cache
    that cannot be written nothing is marked, because nothing can be removed.
    """
    path = _mark(entry)
    with contextlib.suppress(OSError), waiting(_lock(entry.parent)):
        path.parent.mkdir(parents=make, exist_ok=True)
        for other in path.parent.iterdir():
            if is_free(str(other)):  # its process has ended
                other.unlink()
        if path not in _held or not path.exists():
            _held[path] = hold(str(path))
        os.utime(entry)


def abandon_images(entry: Path) -> None:
    """Removes the empty folder of a set that could not be made."""
    path = _mark(entry)
    with contextlib.suppress(OSError), waiting(_lock(entry.parent)):
        if path in _held:
            _held.pop(path).close()
        path.unlink(missing_ok=True)
        path.parent.rmdir()
        entry.rmdir()


def _mark(entry: Path) -> Path:
    """Returns the file that marks a set as used by this process."""
    return entry / _IN_USE / f"{os.getpid()}-{socket.gethostname()}"


def prune_images(root: Path, most: int) -> int:
    """Removes the least recently used sets until at most `most` bytes are left.

    Sets that a process uses stay.

    Returns:
        The number of bytes removed.
    """
    entries = [p for p in root.iterdir() if _IMAGES.fullmatch(p.name) and p.is_dir()]
    sizes, removed = {entry: size_of(entry) for entry in entries}, 0
    if sum(sizes.values()) <= most:
        return 0
    with contextlib.suppress(OSError), waiting(_lock(root)):  # it may be read-only
        for entry in sorted(entries, key=lambda path: path.stat().st_mtime_ns):
            if sum(sizes.values()) - removed <= most:
                break
            if not _is_used(entry):
                aside = root / f"removed.{secrets.token_hex(4)}"
                entry.rename(aside)  # So no process ever sees a part of a set.
                shutil.rmtree(aside, ignore_errors=True)
                removed += sizes[entry]
    return removed


def _lock(root: Path) -> str:
    return str(root / f"{_IN_USE}.lock")


def _is_used(entry: Path) -> bool:
    """Tells whether a process that uses a set is alive."""
    folder = entry / _IN_USE
    return folder.is_dir() and not all(is_free(str(path)) for path in folder.iterdir())


def prune_compiled(most: int) -> int:
    """Removes the least recently used programs; returns the number of bytes removed."""
    files = [
        (max(status.st_atime_ns, status.st_mtime_ns), status.st_size, path)
        for path, status in _files(Path(COMPILED).expanduser())
    ]
    excess, removed = sum(size for _, size, _ in files) - most, 0
    for _, size, path in sorted(files):
        if removed >= excess:
            break
        with contextlib.suppress(OSError):  # Another process removed it, or reads it.
            path.unlink()
            removed += size
    return removed


def size_of(folder: Path) -> int:
    """Returns the bytes of all files in a folder; 0 if it does not exist."""
    return sum(status.st_size for _, status in _files(folder))


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yields the files that no other process removes meanwhile."""
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if stat.S_ISREG((status := path.stat()).st_mode):
                yield path, status
