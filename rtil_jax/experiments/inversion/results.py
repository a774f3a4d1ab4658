"""The result files of an inversion: one row, picture and solution per image."""

import contextlib
import csv
import dataclasses
import os
import re
import zipfile

import numpy as np
from PIL import Image

from rtil_jax.experiments.inversion.file_names import file_stem, old_file_stem
from rtil_jax.experiments.inversion.shards import Shard
from rtil_jax.experiments.report.rows import COLUMNS, Row, read_results
from rtil_jax.files import replacing
from rtil_jax.inversion.reconstruction import Reconstruction
from rtil_jax.locks import waiting

# The columns that identify a reconstruction.
KEY = tuple(COLUMNS)[:6]
# Names of our own files; other tables may lie beside them.
_NAME = re.compile(r"results(?:-(\d+)-of-(\d+))?\.csv")


@dataclasses.dataclass(frozen=True)
class _File:
    """The contents of a file of rows at the time of reading.

    Attributes:
        identity: changes whenever the file does.
        rows: its rows.
    """

    identity: tuple[int, int, int]
    rows: list[Row]

    @property
    def age(self) -> int:
        """The time when it was written, in nanoseconds."""
        return self.identity[0]


class Results:
    """The rows of `results.csv`; every change replaces the file in one step.

    Each of several processes writes its own file, `results-I-of-N.csv`, and reads those
    of the others; `merge` joins them. If files differ about a reconstruction, the one
    that was written last counts.

    Args:
        workdir: the inversion's directory.
        shard: the part of this process.
    """

    def __init__(self, workdir: str, shard: Shard):
        self.workdir = workdir
        self._whole = os.path.join(workdir, "results.csv")
        self._own = os.path.join(workdir, f"results{shard.suffix}.csv")
        self._files: dict[str, _File] = {}
        self.reload()

    def reload(self) -> None:
        """Reads the current files of all processes."""
        while True:
            try:
                self._files = self._read_files()
                break
            except FileNotFoundError:  # Another process has just merged them.
                pass
        files = list(self._files.values())
        newest: dict[tuple, Row] = {}
        for file in sorted(files, key=lambda file: file.age):
            newest |= {_key(row): row for row in file.rows}
        # In the order of the file names, which is that of the settings.
        keys = dict.fromkeys(_key(row) for file in files for row in file.rows)
        self._by_key = {key: newest[key] for key in keys}

    def _read_files(self) -> dict[str, _File]:
        """Returns all files, reading those that have changed."""
        numbers = {
            name: [int(number) for number in found.groups(default=0)][::-1]
            for name in os.listdir(self.workdir)
            if (found := _NAME.fullmatch(name))
        }
        files = {}
        for name in sorted(numbers, key=numbers.__getitem__):
            path = os.path.join(self.workdir, name)
            known, identity = self._files.get(path), _identity(path)
            if known is None or known.identity != identity:
                known = _File(identity, read_results(path))
            files[path] = known
        return files

    def is_done(self, row: Row, index: int) -> bool:
        """Tells whether the reconstruction of image `index` has a row and its files."""
        if _key(row) not in self._by_key:
            return False
        files = self.picture(row, index), self.solution(row, index)
        if not all(map(os.path.exists, files)):
            self._adopt(row, index)
        return all(map(os.path.exists, files))

    def _adopt(self, row: Row, index: int) -> None:
        """Renames files with a name of version 0.1, if they belong to this row."""
        old, new = old_file_stem(row, index), file_stem(row, index)
        folder = os.path.join(self.workdir, "solutions")
        if old == new or not _is_solution_of(os.path.join(folder, f"{old}.npz"), row):
            return
        for kind in ("recovered/{}.png", "solutions/{}.npz"):
            source, target = (
                os.path.join(self.workdir, kind.format(stem)) for stem in (old, new)
            )
            with contextlib.suppress(FileNotFoundError):  # Another process did it.
                os.replace(source, target)

    def picture(self, row: Row, index: int) -> str:
        """Returns the path of the recovered PNG."""
        return os.path.join(self.workdir, "recovered", f"{file_stem(row, index)}.png")

    def solution(self, row: Row, index: int) -> str:
        """Returns the path of the saved solution."""
        return os.path.join(self.workdir, "solutions", f"{file_stem(row, index)}.npz")

    def names(self, column: str) -> list[str]:
        """Returns the values of a column: `vanilla` first, then in the file's order."""
        names = dict.fromkeys(row[column] for row in self._by_key.values())
        return sorted(names, key=lambda name: name != "vanilla")

    def __getitem__(self, row: Row) -> Row:
        """Returns the row with the same `KEY` as `row`."""
        return self._by_key[_key(row)]

    def add(self, rows: list[Row]) -> None:
        """Adds rows with all of `COLUMNS`, or replaces them, and writes the file."""
        new = {_key(row): row for row in rows}
        with waiting(f"{self._whole}.lock"):
            self.reload()
            kept = self._by_key
            if self._own != self._whole:  # without rows that other files have newer
                own = self._files.get(self._own)
                mine = {_key(row): row for row in own.rows} if own else {}
                kept = {k: row for k, row in mine.items() if self._by_key[k] is row}
            self._write(self._own, kept | new)
        self._by_key |= new

    def merge(self) -> None:
        """Joins the files of all processes to one, `results.csv`."""
        with waiting(f"{self._whole}.lock"):
            self.reload()
            self._write(self._whole, self._by_key)
            for path in self._files.keys() - {self._whole}:
                with contextlib.suppress(OSError):  # on Windows, while others read it
                    os.remove(path)
        self.reload()

    def _write(self, path: str, rows: dict[tuple, Row]) -> None:
        """Replaces a file, and makes it newer than all others."""
        with replacing(path) as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(map(_without_nan, rows.values()))
        others = [file.age for name, file in self._files.items() if name != path]
        # File systems store times in nanoseconds, clock steps or seconds.
        for step in (1_000, 2 * 10**9):
            if _identity(path)[0] <= max(others, default=0):
                os.utime(path, ns=(max(others) + step,) * 2)
        self._files[path] = _File(_identity(path), list(rows.values()))


def _identity(path: str) -> tuple[int, int, int]:
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size, status.st_ino


def _is_solution_of(path: str, row: Row) -> bool:
    """Tells whether a saved solution belongs to this row."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return _key({name: file[f"fact:{name}"].item() for name in KEY}) == _key(
                row
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return False


def _without_nan(row: Row) -> Row:
    return {c: "" if value != value else value for c, value in row.items()}


def _key(row: Row) -> tuple:
    return tuple(float(row[c]) if c == "ratio" else row[c] for c in KEY)


def read_picture(path: str) -> np.ndarray:
    """Reads the uint8 pixels `(height, width, channels)` of a recovered picture."""
    pixels = np.asarray(Image.open(path))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def save_batch(
    results: Results,
    found: Reconstruction,
    first: int,
    rows: dict[int, dict],
    seed: int,
    more: list[dict] | None = None,
) -> None:
    """Saves the picture and the solution of each image of a batch.

    Args:
        results: the results of the directory.
        found: what was recovered.
        first: the index of the first image of the batch.
        rows: {index: row} of the images to save.
        seed: the seed of the run.
        more: further facts of each image of the batch, or None.
    """
    files = {}
    for index, row in rows.items():
        facts = {column: row[column] for column in KEY} | {"seed": seed, "index": index}
        at = index - first
        facts |= more[at] if more else {}
        files[at] = results.picture(row, index), results.solution(row, index), facts
    found.save_images(files)
