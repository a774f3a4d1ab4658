"""`load_images`, which loads a set of images from the name of a source."""

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from rtil_jax.data.avatars import DEFAULT_STYLE, avatar_source
from rtil_jax.data.cache import cache_root, cached_images, decoded_images
from rtil_jax.data.decoding import Decode
from rtil_jax.data.formats import list_kinds
from rtil_jax.data.image_set import ImageSet
from rtil_jax.data.pixels import FIELDS, FULL_RANGE, WINDOW, Window, is_window
from rtil_jax.data.sources import Source, folder_source
from rtil_jax.data.tfds_source import tfds_source
from rtil_jax.data.zips import zip_source
from rtil_jax.errors import UserError
from rtil_jax.files import local_path

FEW = 1_000  # images; so many can be decoded in seconds to look for damaged ones
_said: set[str] = set()


def load_images(
    source: Any,
    split: Any = "test",
    *,
    resolution: Any = None,
    channels: Any = 3,
    cache_dir: str | os.PathLike | None = None,
    count: Any = None,
    window: Any = (),
) -> ImageSet:
    """Loads images, decoding them on the first call and from a cache afterwards.

    Args:
        source: a folder, a .zip file, "tfds:NAME" or "tfds:NAME/CONFIG", or "avatars"
            or "avatars:STYLE".
        split: which images to take. If a folder or zip has subfolders such as `train`
            and `test`, it names one of them; otherwise all images are taken. For a
            TFDS dataset it is one of its splits, for avatars "train" or "test".
        resolution: height and width, a power of two from 8. Images are first cropped
            to their central square. For a prior, use `prior.generator.resolution`.
        channels: 1 for grey, 3 for RGB.
        cache_dir: the folder of the cache; None for $RTIL_JAX_DATA or, if that is not
            set, ~/.cache/rtil_jax.
        count: take only the first images in the order of their names, at least 1;
            None for all. Damaged images do not count.
        window: the values of black and white in images with more than 8 bits, such as
            (0, 4095); () for (0, 65535).

    Raises:
        UserError: if the images cannot be loaded as asked.
    """
    if resolution is None:
        raise UserError(
            f"resolution: found None, expected the resolution of a prior, as in "
            f"load_images({source!r}, resolution=64, channels=3)"
        )
    if not _is_whole(channels) or channels not in (1, 3):
        raise UserError(f"channels: found {channels!r}, expected 1 (grey) or 3 (RGB)")
    if not _is_whole(resolution) or resolution < 8 or resolution & (resolution - 1):
        raise UserError(
            f"resolution: found {resolution!r}, expected a power of two from 8"
        )
    if count is not None and (not _is_whole(count) or count < 1):
        raise UserError(f"count: found {count!r}, expected at least 1, or None for all")
    if isinstance(window, tuple | list):  # perhaps of NumPy numbers
        window = tuple(x.item() if isinstance(x, np.generic) else x for x in window)
    if not is_window(window):
        raise UserError(f"window: found {window!r}, expected {WINDOW}")
    listed = list_images(source, split, resolution, count)
    if listed.ignored:
        _say_once(f"{listed.location}: ignored {list_kinds(listed.ignored)}")
    images, levels = cached_images(
        listed, int(resolution), int(channels), window, count, cache_dir
    )
    if levels and not window:
        warn_of_levels(listed.location, *levels)
    _require(count, len(images), listed)
    return images


def list_images(
    source: Any, split: Any, resolution: int, count: int | None = None
) -> Source:
    """Lists the images that `load_images` would read, without decoding them.

    Args:
        source: a folder, a `.zip`, `tfds:NAME` or `avatars`.
        split: such as `train` or `test`.
        resolution: height and width, at which avatars are drawn.
        count: take only the first images; None for all.

    Raises:
        UserError: if the source has no images, or fewer than `count`.
    """
    if not isinstance(split, str):
        raise UserError(f"split: found {split!r}, expected a name, such as 'test'")
    kind, _, name = str(source).partition(":")
    if kind == "tfds":
        listed = tfds_source(name, split)
    elif kind == "avatars":
        listed = avatar_source(name or DEFAULT_STYLE, split, resolution, count)
    elif source == "":  # As a path it would be the current folder.
        raise UserError("images: found no source, expected a folder or a .zip file")
    elif not (path := Path(local_path(source, "images")).absolute()).exists():
        raise UserError(
            f"{path}: found no such file or folder, expected a folder, a .zip file, "
            "tfds:NAME or avatars"
        )
    else:
        listed = (folder_source if path.is_dir() else zip_source)(path, split)
    _require(count, len(listed.names), listed)
    return listed


def probe_images(
    source: str,
    split: str,
    *,
    resolution: int,
    channels: int,
    window: Window = (),
    cache_dir: str | os.PathLike | None = None,
    count: int | None = None,
) -> tuple[ImageSet, int]:
    """Returns the first images that `load_images` would load, and their full number.

    It decodes all images if they are at most FEW, or else the first one, and keeps none
    of them in the cache.

    Args:
        source: a folder, a `.zip`, `tfds:NAME` or `avatars`.
        split: such as `train` or `test`.
        resolution: height and width.
        channels: 1 (grey) or 3 (RGB).
        window: the values of black and white in images with more than 8 bits.
        cache_dir: the folder of the cache; None for the usual one.
        count: take only the first images; None for all.

    Raises:
        UserError: as `load_images` would, except for images that it does not decode.
    """
    listed = list_images(source, split, resolution, count)
    cache_root(cache_dir)
    few = count if count is not None and count <= FEW else 1
    decode = Decode(listed, listed.identify, resolution, channels, tuple(window))
    first = decoded_images(decode, few)
    if few == count:
        _require(count, len(first), listed)
    return first, count or len(listed.names)


def _is_whole(value: Any) -> bool:
    """Tells whether a value is an integer of Python or NumPy, and not a bool."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _require(count: int | None, found: int, listed: Source) -> None:
    if count is not None and count > found:
        images = "image" if found == 1 else "images"
        raise UserError(
            f"{listed.location}: found {found} {images}, expected at least {count}"
        )


def warn_of_levels(location: str, low: float, high: float) -> None:
    """Warns of images with more than 8 bits that do not fill the range of 16 bits.

    Args:
        location: where the images are, for the warning.
        low: their lowest value.
        high: their highest value.
    """
    black, white = FULL_RANGE
    if black <= low and white / 2 < high <= white:
        return
    window = "(0, 4095)"
    if low >= 0 and high >= 1:
        window = f"(0, {2 ** int(high).bit_length() - 1})"
    elif low < high:
        window = f"({low:g}, {high:g})"
    _say_once(
        f"{location}: found values from {low:,g} to {high:,g} in images of more than 8 "
        f"bits, where {black} is black and {white:,} is white; to change that, set "
        f"{FIELDS.replace('(0, 4095)', window)}"
    )


def _say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        logging.getLogger("rtil_jax").warning(text)
