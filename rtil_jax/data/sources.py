"""Lists the images of a source without decoding them."""

import dataclasses
import hashlib
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rtil_jax.data.splits import choose_split
from rtil_jax.errors import UserError

# Bytes of an encoded image; a zip states the unpacked size of each entry.
LARGEST = 2**28


@dataclasses.dataclass(frozen=True)
class Source:
    """A list of images, which are read one at a time.

    Attributes:
        location: where the images are, for messages.
        says: which images were taken, such as `faces64.zip [test]`.
        names: the names of the images, sorted and unique.
        identify: returns the identity of the encoded image at an index of `names`; the
            same in a zip and in a folder, wherever they are.
        read: returns the encoded image at an index of `names`; can be called from
            threads. Raises if it cannot be read, or is larger than LARGEST.
        stamp: returns a value that changes when the file at an index may have changed,
            and is cheaper than `identify`; None if `identify` is cheap.
        archive: changes when the archive of the images does; "" without an archive.
        series: names a longer series of which `names` is the start; "" if complete.
        ignored: how many other files the source has, by kind.
    """

    location: str
    says: str
    names: tuple[str, ...]
    identify: Callable[[int], str]
    read: Callable[[int], bytes]
    stamp: Callable[[int], list[int]] | None = None
    archive: str = ""
    series: str = ""
    ignored: Counter[str] = dataclasses.field(default_factory=Counter)


def folder_source(folder: Path, split: str) -> Source:
    """Lists the images below a folder, or below its subfolder for `split`.

    Raises:
        UserError: if there are no images, or the folder only has other splits.
    """
    paths = [file.relative_to(folder).as_posix() for file in _files(folder)]
    chosen = choose_split(paths, split, str(folder))
    files = [folder / path for path in chosen.paths.values()]

    def read(index: int) -> bytes:
        check_size(files[index].stat().st_size)
        return files[index].read_bytes()

    def identify(index: int) -> str:
        try:
            encoded = read(index)
        except (OSError, ValueError):
            return "unread"
        return identity(len(encoded), zlib.crc32(encoded))

    def stamp(index: int) -> list[int]:
        found = files[index].stat()
        return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]

    return Source(
        location=str(folder),
        says=f"{folder.name or folder} [{chosen.says}]",
        names=tuple(chosen.paths),
        identify=identify,
        read=read,
        stamp=stamp,
        ignored=chosen.ignored,
    )


def counted(count: int, says: str) -> str:
    """Says how many images of what: `1,240 images of faces64.zip [test]`."""
    return f"{count:,} {'image' if count == 1 else 'images'} of {says}"


def identity(size: int, checksum: int) -> str:
    """Returns the identity of a file: its length and CRC-32, which a zip also has."""
    return f"{size}-{checksum:08x}"


def check_size(size: int) -> None:
    """Raises ValueError for an encoded image that is too large to be read."""
    if size > LARGEST:
        raise ValueError(f"found {size:,} bytes, expected at most {LARGEST:,}")


def fingerprint(listing: Iterable) -> str:
    """Returns a hash of anything that JSON can write."""
    return hashlib.sha256(json.dumps(list(listing)).encode()).hexdigest()


def _files(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yields all files below a folder; follows links, which may lead to other disks."""
    real = os.path.realpath(folder)
    if real in above:  # A link to a folder that contains it.
        return
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror})") from error
    for entry in entries:
        # Unlike the methods of `entry`, these return False for a link to itself.
        if os.path.isdir(entry):
            yield from _files(Path(entry), (*above, real))
        elif os.path.isfile(entry):
            yield Path(entry)
