"""Decoding a source's images in order, several at a time."""

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
    """What is remembered of a file that has been decoded, or could not be.

    Attributes:
        name: of the image.
        identity: of its encoded content.
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
    """What to decode, and to what."""

    source: Source
    identify: Callable[[int], str]
    resolution: int
    channels: int
    window: Window = ()

    def __call__(self, index: int) -> tuple[str, Decoded | Exception]:
        """The identity of an image, and its pixels or why there are none."""
        form, identity = self[2:], self.identify(index)
        try:
            encoded = self.source.read(index)
        except Exception as error:  # zipfile raises almost any.
            return unread(self.source) or identity, error
        try:
            return identity, decode(encoded, *form)
        except Exception as error:  # Pillow raises almost any.
            return identity, error


def unread(source: Source) -> str:
    """The identity of what an archive lists, but does not hold intact; "" if none is.

    It lasts until the archive is replaced, by an intact one perhaps.
    """
    return source.archive and f"unread in {source.archive}"


@contextlib.contextmanager
def _without_pillows_warnings() -> Iterator[None]:
    """A block without warnings of malformed EXIF and the like.

    A picture that is damaged is skipped with a warning of ours; others are used.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def decode_source(
    decode: Decode, start: int, missing: int | None
) -> Iterator[tuple[Looked, np.ndarray | Exception]]:
    """Yields what is found of each image from `start` on, and its pixels or error.

    Args:
        decode: what to decode.
        start: the first image.
        missing: ends after so many that can be read; None for all.
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
