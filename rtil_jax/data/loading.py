"""One function from the name of a source to an indexed set of images."""

import dataclasses
import itertools
from pathlib import Path

from rtil_jax.data.avatars import DEFAULT_STYLE, avatar_source
from rtil_jax.data.cache import ImageSet, cache_root, cached_images
from rtil_jax.data.sources import Source, folder_source, zip_source
from rtil_jax.data.tfds_source import import_tfds, tfds_source
from rtil_jax.errors import UserError

FEW = 1_000  # images; so many are decoded in seconds to look for damaged ones


def load_images(
    source: str,
    split: str,
    *,
    resolution: int,
    channels: int,
    cache_dir: str | None = None,
    count: int | None = None,
) -> ImageSet:
    """Loads images, decoding them on the first call and from a cache afterwards.

    Args:
        source: a folder, a .zip file, "tfds:NAME" or "tfds:NAME/CONFIG", or "avatars"
            or "avatars:STYLE".
        split: the subfolder to take where a folder or zip has `train` or `test` ones
            (it is taken whole otherwise); the split of a TFDS dataset; "train" or
            "test" avatars.
        resolution: height and width, a power of two from 8; images are cropped to
            their central square first.
        channels: 1 for grey, 3 for RGB.
        cache_dir: None for $RTIL_JAX_DATA, or ~/.cache/rtil_jax without it.
        count: take the first ones in the order of their names only; None for all.

    Raises:
        UserError: if the images cannot be had as asked.
    """
    listed = _listed(source, split, resolution, channels, count)
    images = cached_images(listed, split, resolution, channels, cache_dir)
    _require(count, len(images), listed)
    return dataclasses.replace(images, names=images.names[:count])


def check_images(
    source: str,
    split: str,
    *,
    resolution: int,
    channels: int,
    cache_dir: str | None = None,
    count: int | None = None,
) -> int:
    """How many images `load_images` would load, with the same arguments.

    Lists them and decodes a few: all that are asked for, or the first one if that is
    more than `FEW`.

    Raises:
        UserError: as `load_images` would, but for what is wrong beyond those.
    """
    import_tfds()
    from rtil_jax.data.builder import decode_source

    listed = _listed(source, split, resolution, channels, count)
    cache_root(cache_dir)
    few = count if count is not None and count <= FEW else 1
    good = itertools.islice(decode_source(listed, resolution, channels), few)
    found = sum(1 for _ in good)
    if few == count:
        _require(count, found, listed)
    return count or len(listed.names)


def _listed(
    source: str, split: str, resolution: int, channels: int, count: int | None
) -> Source:
    """The source's listing, of at least `count` images."""
    if channels not in (1, 3):
        raise UserError(f"channels is {channels}; expected 1 (grey) or 3 (RGB)")
    if resolution < 8 or resolution & (resolution - 1):
        raise UserError(f"resolution is {resolution}; expected a power of two from 8")
    if count is not None and count < 1:
        raise UserError(f"count is {count}; expected at least 1, or None for all")
    listed = _list_images(source, split, resolution, count)
    _require(count, len(listed.names), listed)
    return listed


def _list_images(source: str, split: str, resolution: int, count: int | None) -> Source:
    kind, _, name = source.partition(":")
    if kind == "tfds":
        return tfds_source(name, split)
    if kind == "avatars":
        return avatar_source(name or DEFAULT_STYLE, split, resolution, count)
    path = Path(source).expanduser().absolute()
    if not path.exists():
        raise UserError(
            f"{path}: no such file or folder; expected a folder, a .zip file, "
            "tfds:NAME or avatars"
        )
    return folder_source(path, split) if path.is_dir() else zip_source(path, split)


def _require(count: int | None, found: int, listed: Source) -> None:
    if count is not None and count > found:
        raise UserError(f"{listed.location}: found {found} images, {count} asked for")
