"""A set of images that is read by index, with a description of where they are from."""

import dataclasses
import statistics
import zlib
from collections.abc import Sequence
from typing import SupportsIndex

import numpy as np
from jaxtyping import Array, Bool, Int, UInt8

from rtil_jax.data.sources import counted, fingerprint
from rtil_jax.errors import UserError

Index = (
    SupportsIndex
    | slice
    | Sequence[SupportsIndex]
    | Int[np.ndarray | Array, "..."]
    | Bool[np.ndarray | Array, "..."]
)


@dataclasses.dataclass(frozen=True, repr=False)
class ImageSet:
    """Square uint8 images in the order of their sorted names.

    Attributes:
        names: the names of the images, relative to their split; sorted.
        pixels: image i is `names[i]`. This may be a memory-mapped file.
        source: where the images are from, such as `faces64.zip [test]`.
        identities: identify the content of each encoded image; empty for images that
            do not come from files.
        checksums: the CRC-32 of each image's pixels, compared when it is read.
        cuts: the fraction of each picture outside its square.
        skipped: how many damaged images were left out.
    """

    names: tuple[str, ...]
    pixels: UInt8[np.ndarray, "images height width channels"]
    source: str = "an array"
    identities: tuple[str, ...] = ()
    checksums: tuple[int, ...] = ()
    cuts: tuple[float, ...] = ()
    skipped: int = 0

    @property
    def resolution(self) -> int:
        """Height and width of the images."""
        return self.pixels.shape[1]

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (RGB)."""
        return self.pixels.shape[-1]

    @property
    def fingerprint(self) -> str:
        """A hash of the images and their names, independent of their place."""
        return fingerprint([self.names, self.identities])

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(
        self, indices: Index
    ) -> UInt8[np.ndarray, "*n height width channels"]:
        """Returns one image for an int; a batch for a slice, list, array or mask.

        Raises:
            IndexError: if an index is out of range.
            UserError: if the file of pixels is damaged.
        """
        if not isinstance(indices, slice):
            indices = np.asarray(indices)
            if indices.size == 0 and indices.dtype == float:  # an empty list
                indices = indices.astype(int)
            if indices.ndim > 1 or (indices.ndim == 0 and indices.dtype == bool):
                raise IndexError(
                    f"found an index of shape {indices.shape} and type "
                    f"{indices.dtype}, expected numbers of images or a mask"
                )
        positions = np.arange(len(self))[indices]
        found = np.array(self.pixels[positions])
        if self.checksums:
            batch = found.reshape(-1, *self.pixels.shape[1:])
            self._check(np.atleast_1d(positions), batch)
        return found

    def _check(self, positions: np.ndarray, found: np.ndarray) -> None:
        """Raises UserError if pixels differ from those that were prepared."""
        for position, pixels in zip(positions, found, strict=True):
            if zlib.crc32(pixels.data) != self.checksums[position]:
                path = getattr(self.pixels, "filename", "pixels")
                raise UserError(
                    f"{path}: found a damaged file (image {self.names[position]}); "
                    "delete it, then the same command prepares the images anew"
                )

    def __repr__(self) -> str:
        size, channels = self.resolution, self.channels
        return f"ImageSet({self.describe()}, {size} x {size} x {channels})"

    def describe(self, total: int | None = None) -> str:
        """Says how many images of what these are, and how many could not be read.

        `total` is the number of all images, if these are only the first of them.
        """
        damaged = f", {self.skipped:,} skipped as damaged" if self.skipped else ""
        return counted(total or len(self), self.source) + damaged

    def describe_cuts(self) -> str:
        """Says how much of the pictures is lost by cropping them to squares."""
        cuts = [cut for cut in self.cuts if cut > 0]
        if not cuts:
            return "nothing is cut off"
        pictures = "picture" if len(cuts) == 1 else "pictures"
        return (
            f"up to {max(cuts):.0%} (median {statistics.median(cuts):.0%}) of "
            f"{len(cuts):,} non-square {pictures} is cut off"
        )
