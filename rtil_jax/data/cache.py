"""Keeps the decoded images of a source on disk, and reads them by index.

A folder of the cache holds a file of uint8 pixels, one image after another, and
`images.json`, which describes them. It is found by the content of the images, not by
their path, so a data set may move. It holds the first images, as many as any run has
asked for.
"""

import contextlib
import json
import logging
import math
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from rtil_jax.caches import abandon_images, bound, image_root, prune_images, use_images
from rtil_jax.data.decoding import Decode, Looked, decode_source, unread
from rtil_jax.data.identities import Identities
from rtil_jax.data.image_set import ImageSet
from rtil_jax.data.pixels import Window
from rtil_jax.data.sources import Source, fingerprint
from rtil_jax.errors import UserError
from rtil_jax.files import replacing
from rtil_jax.locks import waiting

# Part of every key; raise it when decoding or the layout of the files changes.
CACHE_VERSION = 2
INDEX = "images.json"
PIXELS = "pixels."
_OLD = 3600  # seconds; older unused files were left by a killed process


class Prepared(NamedTuple):
    """The prepared images: all files that were read, and the pixels of good ones."""

    looked: list[Looked]
    pixels: UInt8[np.ndarray, "good height width channels"]


def cached_images(
    source: Source,
    resolution: int,
    channels: int,
    window: Window = (),
    count: int | None = None,
    cache_dir: str | os.PathLike | None = None,
) -> tuple[ImageSet, tuple[float, float] | None]:
    """Returns the decoded images of a source; decodes only those that are not cached.

    Args:
        source: the list of images; they are read only if they are not cached.
        resolution: height and width to decode to.
        channels: 1 (grey) or 3 (RGB).
        window: the values of black and white, see `decode_image`.
        count: take the first images that are not damaged, at most this many; None for
            all.
        cache_dir: the folder of the cache; None for $RTIL_JAX_DATA or, if that is not
            set, ~/.cache/rtil_jax.

    Returns:
        The images (fewer than `count` if the source has no more), and the lowest and
        highest value of images with more than 8 bits, or None without such images.

    Raises:
        UserError: if no image can be read, or the cache cannot be written.
    """
    content = source.series or [source.names, source.identify(0)]
    key = [CACHE_VERSION, content, resolution, channels, window]
    directory = cache_root(cache_dir) / (
        f"{resolution}x{channels}-{fingerprint(key)[:16]}"
    )
    shape = resolution, resolution, channels
    identify, most = Identities(source, directory), bound("RTIL_JAX_IMAGES_GIB")
    if directory.exists():  # No other process removes it while it is marked as used.
        use_images(directory)
    prepared = _usable(_read(directory, shape), source, identify, count)
    if not _is_enough(prepared, source, count):
        decode = Decode(source, identify, resolution, channels, window)
        with _writing(directory), waiting(f"{directory}.lock"):
            use_images(directory, make=True)
            # Another process may have prepared them meanwhile.
            prepared = _usable(_read(directory, shape), source, identify, count)
            if not _is_enough(prepared, source, count):
                _extend(directory, prepared, decode, count)
                prepared = _usable(_read(directory, shape), source, identify, count)
        prune_images(directory.parent, most)
    identify.save()
    return _image_set(prepared, source), _levels(prepared.looked)


def _read(directory: Path, shape: tuple[int, int, int]) -> Prepared:
    """Reads what an earlier run has prepared; nothing if damaged or incomplete."""
    try:
        index = json.loads((directory / INDEX).read_text("utf-8"))
        looked = [Looked(*row) for row in index["images"]]
        path, good = directory / index["pixels"], len(_good(looked))
        found, expected = path.stat().st_size, good * math.prod(shape)
        if found != expected:
            raise ValueError(f"found {found:,} bytes of pixels, expected {expected:,}")
        return Prepared(looked, np.memmap(path, np.uint8, "r", shape=(good, *shape)))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError) as error:
        logging.getLogger("rtil_jax").warning(
            "%s: cannot be used (%s); preparing the images anew", directory, error
        )
    return Prepared([], np.zeros((0, *shape), np.uint8))


def _good(looked: Sequence[Looked]) -> list[Looked]:
    return [one for one in looked if one.checksum is not None]


def _usable(
    prepared: Prepared, source: Source, identify: Identities, count: int | None
) -> Prepared:
    """Returns those of the first `count` images that have not changed."""
    needed, good = 0, 0
    for one in prepared.looked[: len(source.names)]:
        if good == count:
            break
        needed, good = needed + 1, good + (one.checksum is not None)
    now = zip(prepared.looked, source.names, identify.first(needed), strict=False)
    changed = (
        number
        for number, (one, name, identity) in enumerate(now)
        if one.name != name or one.identity not in (identity, unread(source))
    )
    looked = prepared.looked[: next(changed, needed)]
    return Prepared(looked, prepared.pixels[: len(_good(looked))])


def _is_enough(prepared: Prepared, source: Source, count: int | None) -> bool:
    complete = len(prepared.looked) == len(source.names)
    return complete or len(prepared.pixels) == count


def _extend(
    directory: Path, prepared: Prepared, decode: Decode, count: int | None
) -> None:
    """Writes the prepared images, then those that are missing, then the index.

    Raises:
        UserError: if no image can be read.
        OSError: if the files cannot be written.
    """
    looked, error = list(prepared.looked), None
    missing = None if count is None else count - len(prepared.pixels)
    directory.mkdir(exist_ok=True)
    old = [path for path in directory.glob(f"{PIXELS}*") if _is_old(path)]
    old += _referred(directory)
    path = str(directory / f"{PIXELS}{secrets.token_hex(4)}")
    try:
        with open(path, "xb") as file:
            for pixels in prepared.pixels:
                file.write(pixels)
            for one, decoded in decode_source(decode, len(looked), missing):
                looked.append(one)
                if isinstance(decoded, Exception):
                    error = decoded
                else:
                    file.write(decoded.data)
            _require_some(looked, decode.source, error)
            file.flush()
            os.fsync(file.fileno())
        with replacing(str(directory / INDEX)) as index:
            location = decode.source.location
            about = {"location": location, "pixels": os.path.basename(path)}
            json.dump(about | {"images": looked}, index)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
        if not (directory / INDEX).exists():
            abandon_images(directory)
        raise
    for leftover in old:
        with contextlib.suppress(OSError):  # gone, or in use where that keeps a file
            leftover.unlink()


def decoded_images(decode: Decode, count: int) -> ImageSet:
    """Decodes the first `count` images that can be read, without keeping them.

    Raises:
        UserError: if no image can be read.
    """
    found = list(decode_source(decode, 0, count))
    errors = [pixels for _, pixels in found if isinstance(pixels, Exception)]
    looked = [one for one, _ in found]
    _require_some(looked, decode.source, errors[-1] if errors else None)
    good = [pixels for _, pixels in found if isinstance(pixels, np.ndarray)]
    return _image_set(Prepared(looked, np.stack(good)), decode.source)


def _require_some(
    looked: Sequence[Looked], source: Source, error: Exception | None
) -> None:
    if not _good(looked):
        raise UserError(
            f"{source.location}: found no readable image among {len(looked)} ({error})"
        ) from error


def _is_old(path: Path) -> bool:
    """Tells whether an unused file is so old that no process can be writing it."""
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime > _OLD
    return False


def _referred(directory: Path) -> list[Path]:
    """Returns the file of pixels that the current index names."""
    try:
        index = json.loads((directory / INDEX).read_text("utf-8"))
        return [directory / os.path.basename(index["pixels"])]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _image_set(prepared: Prepared, source: Source) -> ImageSet:
    good = _good(prepared.looked)
    return ImageSet(
        names=tuple(one.name for one in good),
        pixels=prepared.pixels,
        source=source.says,
        identities=tuple(one.identity for one in good),
        checksums=tuple(one.checksum for one in good if one.checksum is not None),
        cuts=tuple(one.cut for one in good),
        skipped=len(prepared.looked) - len(good),
    )


def _levels(looked: Sequence[Looked]) -> tuple[float, float] | None:
    found = [one.levels for one in looked if one.levels]
    lows, highs = zip(*found, strict=True) if found else ((), ())
    return (min(lows), max(highs)) if found else None


def cache_root(cache_dir: str | os.PathLike | None) -> Path:
    """Returns the folder of the cache; raises UserError if it cannot be made."""
    root = image_root(cache_dir)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{root}: cannot make the image cache here ({error.strerror}); set "
            "RTIL_JAX_DATA to a folder that can be written"
        ) from error
    return root


@contextlib.contextmanager
def _writing(directory: Path) -> Iterator[None]:
    """Turns a full disk and other errors of the file system into UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{directory.parent}: cannot be written ({error.strerror}); set "
            "RTIL_JAX_DATA to a folder that can be written"
        ) from error
