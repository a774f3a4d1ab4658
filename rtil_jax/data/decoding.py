"""Decodes the images of a source in order, several at a time."""

import contextlib
import logging
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from rtil_jax.data.pixels import Decoded, Window, decode
from rtil_jax.data.sources import Source
from rtil_jax.progress import progress

_CHUNK = 256


class Looked(NamedTuple):
    """The record of a file that was decoded, or could not be decoded.

    Attributes:
        name: the name of the image.
        identity: identifies its encoded content.
        checksum: the CRC-32 of its pixels; None if it is damaged.
        cut: the fraction of the picture outside its square.
        levels: lowest and highest value, if it has more than 8 bits.
    """

    name: str
    identity: str
    checksum: int | None
    cut: float = 0.0
    levels: tuple[float, float] | None = None


class Decode(NamedTuple):
    """Decodes the images of a source to one size and format."""

    source: Source
    identify: Callable[[int], str]
    resolution: int
    channels: int
    window: Window = ()

    def __call__(self, index: int) -> tuple[str, Decoded | Exception]:
        """Returns the identity of an image, and its pixels or the error."""
        form, identity = self[2:], self.identify(index)
        try:
            encoded = self.source.read(index)
        except Exception as error:  # zipfile may raise almost anything.
            return unread(self.source) or identity, error
        try:
            return identity, decode(encoded, *form)
        except Exception as error:  # Pillow may raise almost anything.
            return identity, error


def unread(source: Source) -> str:
    """Returns the identity of images that an archive lists but cannot deliver.

    It changes when the archive is replaced. It is "" for a source without archive.
    """
    return source.archive and f"unread in {source.archive}"


@contextlib.contextmanager
def _without_pillows_warnings() -> Iterator[None]:
    """Hides Pillow's warnings of malformed EXIF and the like.

    We warn of damaged pictures, which are skipped; the others are used.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def decode_source(
    decode: Decode, start: int, missing: int | None
) -> Iterator[tuple[Looked, np.ndarray | Exception]]:
    """Yields the record of each image from `start` on, and its pixels or the error.

    Args:
        decode: decodes the images of a source.
        start: the index of the first image.
        missing: stop after this number of readable images; None for all.
    """
    names, location = decode.source.names, decode.source.location
    left = len(names) - start if missing is None else missing
    # Pillow releases the GIL. Chunks bound how many images wait to be written.
    with (
        _without_pillows_warnings(),
        ThreadPoolExecutor() as pool,
        progress(left, "preparing images") as bar,
    ):
        while start < len(names) and left:
            chunk = range(start, min(start + min(_CHUNK, left), len(names)))
            start = chunk.stop
            results = pool.map(decode.__call__, chunk)
            for index, (identity, found) in zip(chunk, results, strict=True):
                bar.update()
                if isinstance(found, Decoded):
                    left -= 1
                    checksum = zlib.crc32(found.pixels.data)
                    looked = Looked(names[index], identity, checksum, *found[1:])
                    yield looked, found.pixels
                    continue
                left -= missing is None
                logging.getLogger("rtil_jax").warning(
                    "%s: skipped %s (%s)", location, names[index], found
                )
                yield Looked(names[index], identity, None), found
