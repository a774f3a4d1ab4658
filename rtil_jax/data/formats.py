"""Which files of a data set are images: those that Pillow can open."""

import functools
from collections import Counter
from collections.abc import Iterable

from PIL import Image

# Formats that Pillow names but cannot draw, or only with another program's help.
_NOT_DRAWN = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
# And one that it opens as JPEG and then names so: the pictures of a stereo camera.
_WITHIN_JPEG = "MPO"
# What operating systems leave in folders and archives.
_JUNK = {"__macosx", "thumbs.db", "desktop.ini"}


@functools.cache
def extensions() -> tuple[str, ...]:
    """The file extensions that the installed Pillow reads; common ones first.

    Pillow's own list: JPEG 2000, WebP or AVIF are in it where Pillow was built with
    them.
    """
    Image.init()
    known = Image.registered_extensions().items()
    drawn = {*Image.OPEN, _WITHIN_JPEG} - _NOT_DRAWN
    read = {extension for extension, name in known if name in drawn}
    common = [e for e in (".png", ".jpg", ".jpeg", ".webp", ".tif") if e in read]
    return (*common, *sorted(read - set(common)))


def is_image(name: str) -> bool:
    """Whether a file's name says that it is an image, in upper or lower case."""
    return name.lower().endswith(extensions())


def is_hidden(parts: Iterable[str]) -> bool:
    """Whether a path is nobody's data: a hidden file, or one of the system's own."""
    return any(part.startswith(".") or part.lower() in _JUNK for part in parts)


def kinds(names: Iterable[str]) -> Counter[str]:
    """How many of the files have which extension, `no extension` for those without."""

    def kind(name: str) -> str:
        stem, dot, extension = name.rpartition(".")
        return f".{extension.lower()}" if dot and stem else "no extension"

    return Counter(map(kind, names))


def list_kinds(counts: Counter[str]) -> str:
    """`3 files (.txt 2, no extension 1)`, the most frequent first."""
    total, ordered = counts.total(), sorted(counts.items(), key=lambda i: (-i[1], i[0]))
    shown = ", ".join(f"{kind} {count:,}" for kind, count in ordered[:8])
    more = f", {len(ordered) - 8} more kinds" if len(ordered) > 8 else ""
    return f"{total:,} {'file' if total == 1 else 'files'} ({shown}{more})"
