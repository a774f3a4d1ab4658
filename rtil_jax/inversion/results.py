"""The files of an inversion directory: one row, picture and solution per image."""

import csv
import glob
import os

import numpy as np
from jaxtyping import Array, Float
from PIL import Image

from rtil_jax.data import to_uint8
from rtil_jax.files import replacing
from rtil_jax.inversion.shards import Shard
from rtil_jax.report import Row, read_results

COLUMNS = (
    "image",
    "prior",
    "method",
    "problem",
    "ratio",
    "select",
    "psnr",
    "ssim",
    "lpips",
    "measurement_mse",
    "seconds",
    "status",
)
NAME_BYTES = 80
# The columns that tell one reconstruction from another.
KEY = COLUMNS[:6]


class Results:
    """`results.csv` of a directory; every change replaces the file in one step.

    One of several processes writes a file of its own, `results-I-of-N.csv`, and reads
    those of the others; `merge` makes one of all.

    Args:
        workdir: the inversion's directory.
        shard: which of several processes this is.
    """

    def __init__(self, workdir: str, shard: Shard):
        self.workdir = workdir
        self._shard = shard
        self.reload()

    def reload(self) -> None:
        """Reads the files of all processes as they are now."""
        own = os.path.join(self.workdir, f"results{self._shard.suffix}.csv")
        pattern = os.path.join(glob.escape(self.workdir), "results*.csv")
        files = {path: read_results(path) for path in sorted(glob.glob(pattern))}
        self._by_key = {_key(row): row for rows in files.values() for row in rows}
        self._own = {_key(row): row for row in files.get(own, ())}
        if not self._shard.suffix:
            self._own = self._by_key

    def is_done(self, row: Row, index: int) -> bool:
        """Whether the reconstruction of image `index` has its row and its files."""
        files = self.picture(row, index), self.solution(row, index)
        return _key(row) in self._by_key and all(map(os.path.exists, files))

    def picture(self, row: Row, index: int) -> str:
        """Path of the recovered PNG."""
        return os.path.join(self.workdir, "recovered", f"{file_stem(row, index)}.png")

    def solution(self, row: Row, index: int) -> str:
        """Path of the saved solution."""
        return os.path.join(self.workdir, "solutions", f"{file_stem(row, index)}.npz")

    def names(self, column: str) -> list[str]:
        """The values of a column, `vanilla` first, then as in the file."""
        names = dict.fromkeys(row[column] for row in self._by_key.values())
        return sorted(names, key=lambda name: name != "vanilla")

    def __getitem__(self, row: Row) -> Row:
        """The row with the same `KEY` as `row`."""
        return self._by_key[_key(row)]

    def add(self, rows: list[Row]) -> None:
        """Adds rows with all of `COLUMNS`, or replaces them, and writes the file."""
        new = {_key(row): row for row in rows}
        self._by_key |= new
        self._own |= new
        self._write(self._shard.suffix, self._own)

    def merge(self) -> None:
        """Writes the rows of all processes to `results.csv`."""
        self._write("", self._by_key)

    def _write(self, suffix: str, rows: dict[tuple, Row]) -> None:
        path = os.path.join(self.workdir, f"results{suffix}.csv")
        with replacing(path) as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(map(_without_nan, rows.values()))


def _without_nan(row: Row) -> Row:
    return {c: "" if value != value else value for c, value in row.items()}


def _key(row: Row) -> tuple:
    return tuple(float(row[c]) if c == "ratio" else row[c] for c in KEY)


def file_stem(row: Row, index: int) -> str:
    """A file name for the reconstruction of image `index`, unique in its directory."""
    name = os.path.splitext(os.path.basename(row["image"]))[0]
    # A file name has at most 255 bytes.
    name = name.encode()[:NAME_BYTES].decode(errors="ignore")
    setting = [row["problem"], f"{row['ratio']:g}", row["prior"], row["method"]]
    return "_".join([*setting, row["select"], f"{index:05d}", name])


def save_picture(path: str, image: Float[Array | np.ndarray, "h w c"]) -> None:
    """Writes an image in [-1, 1] as a PNG, grey if it has one channel."""
    pixels = to_uint8(image)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)


def read_picture(path: str) -> np.ndarray:
    """The uint8 pixels `(height, width, channels)` of what `save_picture` wrote."""
    pixels = np.asarray(Image.open(path))
    return pixels[..., None] if pixels.ndim == 2 else pixels
