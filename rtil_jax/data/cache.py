"""A source's decoded images on disk, prepared once and read by index."""

import contextlib
import dataclasses
import io
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, SupportsIndex, runtime_checkable

import numpy as np
from jaxtyping import Int, UInt8

from rtil_jax.data.sources import Source, fingerprint
from rtil_jax.data.tfds_source import import_tfds
from rtil_jax.errors import UserError
from rtil_jax.locks import waiting

# Part of every cache's key: raise it when decoding or the files' layout changes.
CACHE_VERSION = 1


@runtime_checkable
class Records(Protocol):
    """What TFDS reads: {"image": pixels} by position, one or several at a time."""

    def __getitem__(self, position: int, /) -> dict[str, np.ndarray]: ...

    def __getitems__(self, positions: list[int], /) -> Sequence[dict]: ...


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Square uint8 images in the order of their sorted names.

    Attributes:
        names: of the images, relative to their split; sorted.
        resolution: height and width.
        channels: 1 (grey) or 3 (RGB).
        records: where they are read from; record i is the image `names[i]`.
    """

    names: tuple[str, ...]
    resolution: int
    channels: int
    records: Records = dataclasses.field(repr=False)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(
        self, indices: SupportsIndex | Sequence[int] | Int[np.ndarray, " n"]
    ) -> UInt8[np.ndarray, "*n height width channels"]:
        """One image for an int, a batch of them for a list or an array of ints."""
        # Not the records themselves: there may be more of them than of names.
        positions = np.arange(len(self))[np.asarray(indices)]
        if positions.ndim == 0:
            return self.records[int(positions)]["image"]
        found = self.records.__getitems__(positions.tolist())
        return np.stack([record["image"] for record in found])


def cached_images(
    source: Source, split: str, resolution: int, channels: int, cache_dir: str | None
) -> ImageSet:
    """The decoded images of `source`; decodes them unless an earlier run did.

    Args:
        source: a listing; its images are read only if they are not cached.
        split: the split that was listed.
        resolution: height and width to decode to.
        channels: 1 or 3.
        cache_dir: None for $RTIL_JAX_DATA, or ~/.cache/rtil_jax without it.

    Raises:
        UserError: if no image can be read, or the cache cannot be written.
    """
    import_tfds()
    from rtil_jax.data.builder import DecodedImages

    key = [source.location, source.fingerprint, split, resolution, channels]
    digest = fingerprint([CACHE_VERSION, *key])[:16]
    readable = f"{Path(source.location).name}-{split}-{resolution}x{channels}"
    name = re.sub(r"[^\w.-]", "_", f"{readable}-{digest}")
    directory = cache_root(cache_dir) / name
    arguments: dict[str, Any] = dict(
        source=source, resolution=resolution, channels=channels
    )
    if not directory.exists():
        _prepare_once(DecodedImages, arguments, directory)
    builder = DecodedImages(data_dir=directory, **arguments)
    records = builder.as_data_source(split="+".join(sorted(builder.info.splits)))
    names = tuple(builder.info.metadata["names"])
    return ImageSet(names, resolution, channels, records)


def cache_root(cache_dir: str | None) -> Path:
    """The folder of all prepared images; raises UserError if it cannot be made."""
    chosen = cache_dir or os.environ.get("RTIL_JAX_DATA") or "~/.cache/rtil_jax"
    root = Path(chosen).expanduser().absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{root}: the image cache cannot be created there ({error.strerror}); set "
            "RTIL_JAX_DATA to a folder that can be written"
        ) from error
    return root


def _prepare_once(builder_class: type, arguments: dict, directory: Path) -> None:
    """Fills `directory`; a process that comes while another does so waits for it.

    Raises:
        UserError: if it cannot be written.
    """
    try:
        work = tempfile.TemporaryDirectory(prefix="incomplete.", dir=directory.parent)
    except OSError as error:
        raise UserError(
            f"{directory.parent}: cannot be written ({error.strerror}); set "
            "RTIL_JAX_DATA to a folder that can"
        ) from error
    with work as temporary, waiting(f"{directory}.lock"):
        if not directory.exists():
            _prepare(builder_class, arguments, directory, temporary)


def _prepare(
    builder_class: type, arguments: dict, directory: Path, temporary: str
) -> None:
    """Fills `directory`, which appears only once it is complete."""
    prepared = Path(temporary, "prepared")
    builder = builder_class(data_dir=prepared, **arguments)
    with quiet_tfds():
        builder.download_and_prepare(download_dir=Path(temporary, "downloads"))
    try:
        os.rename(prepared, directory)
    except OSError:
        # Another process has prepared the same images meanwhile: take its own.
        if not directory.exists():
            raise


@contextlib.contextmanager
def quiet_tfds() -> Iterator[None]:
    """Hides TFDS's own progress bars and what it prints."""
    tfds = import_tfds()
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.enable_progress_bar()
