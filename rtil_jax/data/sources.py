"""Listing the images of a folder or a zip, without decoding any of them."""

import dataclasses
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from rtil_jax.errors import UserError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
# Of one encoded image; a zip says how much a small entry would unpack to.
LARGEST = 2**28


@dataclasses.dataclass(frozen=True)
class Source:
    """Images that are cheap to list and are read one at a time.

    Attributes:
        location: where they are, for messages and for the cache's key.
        fingerprint: changes whenever the images may have changed.
        names: one per image, sorted and unique.
        read: the encoded image at an index of `names`; safe to call from threads.
            Raises if it cannot be read, or is larger than LARGEST.
    """

    location: str
    fingerprint: str
    names: tuple[str, ...]
    read: Callable[[int], bytes]


def folder_source(folder: Path, split: str) -> Source:
    """The images below `folder`, or below its subfolder `split`.

    Raises:
        UserError: if there are none, or the folder has other splits only.
    """
    paths = [file.relative_to(folder).as_posix() for file in _files(folder)]
    chosen = _choose_split(paths, split, str(folder))
    files = [folder / path for path in chosen.values()]
    stats = [file.stat() for file in files]
    listing = [
        (name, stat.st_size, stat.st_mtime_ns)
        for name, stat in zip(chosen, stats, strict=True)
    ]

    def read(index: int) -> bytes:
        _check_size(stats[index].st_size)
        return files[index].read_bytes()

    return Source(str(folder), fingerprint(listing), tuple(chosen), read)


def zip_source(path: Path, split: str) -> Source:
    """The images in a zip archive, or in its folder `split`; nothing is unpacked.

    Raises:
        UserError: if it is not a zip, has no images, or has other splits only.
    """
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise UserError(
            f"{path}: not a zip archive ({error}); expected a folder, a .zip file, "
            "tfds:NAME or avatars"
        ) from error
    infos = {info.filename: info for info in archive.infolist() if not info.is_dir()}
    chosen = _choose_split(infos, split, str(path))
    entries = [infos[full] for full in chosen.values()]
    # The checksums come with the listing, and say more than the modification times.
    listing = [
        (name, entry.file_size, entry.CRC)
        for name, entry in zip(chosen, entries, strict=True)
    ]

    def read(index: int) -> bytes:
        # What an entry says it is, it is: `read` stops there and compares checksums.
        _check_size(entries[index].file_size)
        return archive.read(entries[index])

    return Source(str(path), fingerprint(listing), tuple(chosen), read)


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise ValueError(f"found {size:,} bytes, expected at most {LARGEST:,}")


def fingerprint(listing: Iterable) -> str:
    """A hash of anything that JSON can write."""
    return hashlib.sha256(json.dumps(list(listing)).encode()).hexdigest()


def _files(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """All files below `folder`, following links: datasets often are on other disks."""
    real = os.path.realpath(folder)
    if real in above:  # A link to a folder that contains it.
        return
    for entry in os.scandir(folder):
        # Unlike the entry's own questions, these say no to a link to itself.
        if os.path.isdir(entry):
            yield from _files(Path(entry), (*above, real))
        elif os.path.isfile(entry):
            yield Path(entry)


def _choose_split(paths: Iterable[str], split: str, location: str) -> dict[str, str]:
    """Keeps the images of one split.

    Leading folders that all images share are passed over. Below them, a folder called
    `split` is taken if there is one; without any folder `train` or `test` there are
    no splits, and every image is taken.

    Returns:
        The path of each image by its name within the split, sorted by name.
    """
    images = {path: PurePosixPath(path).parts for path in paths if _is_image(path)}
    if not images:
        raise UserError(
            f"{location}: no image files found; accepted are {', '.join(EXTENSIONS)}"
        )
    splits = {"train", "test", split}
    folders = {parts[0] for parts in images.values() if len(parts) > 1}
    while (
        len(folders) == 1
        and not folders & splits
        and all(len(parts) > 1 for parts in images.values())
    ):
        images = {path: parts[1:] for path, parts in images.items()}
        folders = {parts[0] for parts in images.values() if len(parts) > 1}
    if split in folders:
        images = {
            path: parts[1:]
            for path, parts in images.items()
            if parts[0] == split and len(parts) > 1
        }
    elif folders & splits:
        raise UserError(
            f"{location}: no split {split!r}; found {', '.join(sorted(folders))}"
        )
    named = {_printable("/".join(parts)): path for path, parts in images.items()}
    return dict(sorted(named.items()))


def _printable(name: str) -> str:
    """A name that UTF-8 can write, whatever bytes the file system has in it."""
    return name.encode(errors="backslashreplace").decode()


def _is_image(path: str) -> bool:
    parts = PurePosixPath(path).parts
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return not hidden and path.lower().endswith(EXTENSIONS)
