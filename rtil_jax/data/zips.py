"""Lists the images of a zip archive without unpacking it."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

from rtil_jax.data.sources import Source, check_size, identity
from rtil_jax.data.splits import choose_split
from rtil_jax.errors import UserError

# Compression methods that Python unpacks, and names of those that it does not.
_UNPACKED = {
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
    zipfile.ZIP_BZIP2,
    zipfile.ZIP_LZMA,
}
_METHODS = {
    1: "Shrink",
    6: "Implode",
    9: "Deflate64",
    93: "Zstandard",
    95: "XZ",
    98: "PPMd",
    99: "AES",
}
# Flags of an entry: encrypted, a patch of another file, strongly encrypted.
_ENCRYPTED, _PATCH = 0x1 | 0x40, 0x20


def zip_source(path: Path, split: str) -> Source:
    """Lists the images in a zip archive, or in its folder for `split`.

    Raises:
        UserError: if the file is not a zip, has no images, has only other splits, or
            has images that Python cannot unpack.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        if _begins_as_zip(path):
            raise UserError(
                f"{path}: found a truncated or damaged zip archive ({error}), expected "
                "a complete one; copy or download it again"
            ) from error
        raise UserError(
            f"{path}: found a file that is not a zip archive ({error}), expected a "
            "folder, a .zip file, tfds:NAME or avatars"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    infos = {info.filename: info for info in archive.infolist() if not info.is_dir()}
    chosen = choose_split(infos, split, str(path))
    entries = [infos[full] for full in chosen.paths.values()]
    _check_unpackable(path, entries)

    def read(index: int) -> bytes:
        # The stated size can be trusted: `read` stops there and compares checksums.
        check_size(entries[index].file_size)
        return archive.read(entries[index])

    state = path.stat()
    return Source(
        location=str(path),
        says=f"{path.name} [{chosen.says}]",
        names=tuple(chosen.paths),
        identify=lambda index: identity(entries[index].file_size, entries[index].CRC),
        read=read,
        archive=f"{state.st_size}-{state.st_mtime_ns}",
        ignored=chosen.ignored,
    )


def _begins_as_zip(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"PK\3\4"


def _check_unpackable(path: Path, entries: Iterable[zipfile.ZipInfo]) -> None:
    """Raises UserError if Python cannot unpack one of the entries."""
    for entry in entries:
        method = entry.compress_type
        if entry.flag_bits & _ENCRYPTED:
            found = "a password on its images"
        elif method not in _UNPACKED:
            found = f"its images packed with {_METHODS.get(method, f'method {method}')}"
        elif entry.flag_bits & _PATCH:
            found = "patches in place of its images"
        else:
            continue
        raise UserError(
            f"{path}: found {found} (such as {entry.filename}), which Python cannot "
            "unpack, expected an ordinary zip (Deflate, no password); unpack it with "
            "unzip or 7z, and use the folder"
        )
