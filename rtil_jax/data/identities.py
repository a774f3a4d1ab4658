"""Identities of images: they tell contents apart, and are remembered on disk."""

import contextlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rtil_jax.data.sources import Source, fingerprint
from rtil_jax.files import replacing

# A file that changed so recently may change again without a new modification time.
_RECENT = 2 * 10**9  # nanoseconds


class Identities:
    """Computes identities of images; rereads a file only if it may have changed.

    Args:
        source: the images.
        directory: the folder where identities are remembered.
    """

    def __init__(self, source: Source, directory: Path):
        self._source, self._changed = source, False
        place = fingerprint([source.location, source.says])[:16]
        self._path = directory / f"files-{place}.json"
        self._known: dict[str, list] = {}
        if source.stamp:
            with contextlib.suppress(OSError, ValueError):
                self._known = json.loads(self._path.read_text("utf-8"))

    def __call__(self, index: int) -> str:
        """Returns the identity of the image at `index`."""
        if not self._source.stamp:
            return self._source.identify(index)
        name, now = self._source.names[index], time.time_ns()
        stamp = self._source.stamp(index)
        known = self._known.get(name)
        if known and known[0] == stamp:
            return known[1]
        found = self._source.identify(index)
        if max(stamp[1:]) < now - _RECENT:
            self._known[name], self._changed = [stamp, found], True
        return found

    def first(self, count: int) -> Iterator[str]:
        """Yields the identities of the first images; reads several files at a time."""
        if not self._source.stamp:
            yield from map(self, range(count))
            return
        with ThreadPoolExecutor() as pool:
            yield from pool.map(self, range(count))

    def save(self) -> None:
        """Writes the identities to disk, if possible."""
        if self._changed:
            with contextlib.suppress(OSError), replacing(str(self._path)) as file:
                json.dump(self._known, file)
