"""Decides which files of a data set are images: those that Pillow can open."""

import functools
from collections import Counter
from collections.abc import Iterable

from PIL import Image

# Formats that Pillow lists but cannot decode, or only with another program.
_NOT_DRAWN = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
# And the format of stereo cameras, which it opens as JPEG.
_WITHIN_JPEG = "MPO"
# Files that operating systems leave in folders and archives.
_JUNK = {"__macosx", "thumbs.db", "desktop.ini"}


@functools.cache
def extensions() -> tuple[str, ...]:
    """Returns the file extensions that the installed Pillow reads, common ones first.

    JPEG 2000, WebP and AVIF are among them if Pillow was built with them.
    """
    Image.init()
    known = Image.registered_extensions().items()
    drawn = {*Image.OPEN, _WITHIN_JPEG} - _NOT_DRAWN
    read = {extension for extension, name in known if name in drawn}
    common = [e for e in (".png", ".jpg", ".jpeg", ".webp", ".tif") if e in read]
    return (*common, *sorted(read - set(common)))


def is_image(name: str) -> bool:
    """Tells whether a file name ends like an image, in upper or lower case."""
    return name.lower().endswith(extensions())


def is_hidden(parts: Iterable[str]) -> bool:
    """Tells whether a path is a hidden file, or one that an operating system made."""
    return any(part.startswith(".") or part.lower() in _JUNK for part in parts)


def kinds(names: Iterable[str]) -> Counter[str]:
    """Counts files by extension; files without one count as `no extension`."""

    def kind(name: str) -> str:
        stem, dot, extension = name.rpartition(".")
        return f".{extension.lower()}" if dot and stem else "no extension"

    return Counter(map(kind, names))


def list_kinds(counts: Counter[str]) -> str:
    """Lists counts, largest first, as in `3 files (.txt 2, no extension 1)`."""
    total, ordered = counts.total(), sorted(counts.items(), key=lambda i: (-i[1], i[0]))
    shown = ", ".join(f"{kind} {count:,}" for kind, count in ordered[:8])
    more = f", {len(ordered) - 8} more kinds" if len(ordered) > 8 else ""
    return f"{total:,} {'file' if total == 1 else 'files'} ({shown}{more})"
