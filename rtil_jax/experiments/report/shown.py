"""The pictures that the page shows of a setting: a few images and their recoveries."""

import dataclasses
import os
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Float, UInt8

from rtil_jax.data.pixels import to_uint8
from rtil_jax.errors import UserError
from rtil_jax.experiments.report.pictures import MAX_GRID_ROWS
from rtil_jax.files import replacing

Images = Float[Array | np.ndarray, "n height width channels"]


@dataclasses.dataclass(frozen=True)
class Shown:
    """The pictures of the first images of a setting.

    Attributes:
        names: the file names of the images.
        columns: {title: pixels}: `truth` and `measurement`, if known, and what was
            recovered, by prior and method.
        psnr: {title: PSNR in dB of each image}; NaN if unknown.
    """

    names: list[str]
    columns: dict[str, UInt8[np.ndarray, "n height width channels"]]
    psnr: dict[str, list[float]]


def save_shown(
    path: str,
    names: Sequence[str],
    columns: Mapping[str, Images],
    psnr: Mapping[str, Sequence[float]],
) -> None:
    """Writes an `.npz` with at most 8 images, for `load_shown`.

    Args:
        path: the file to write; its folder is made if it does not exist.
        names: the file names of the images.
        columns: {title: images in [-1, 1]}.
        psnr: {title: PSNR of each image} for the titles that have one.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    count = min(MAX_GRID_ROWS, len(names))
    arrays: dict[str, Any] = {"names": np.asarray(names[:count], np.str_)}
    arrays |= {f"x:{n}": to_uint8(x[:count]) for n, x in columns.items()}
    arrays |= {f"psnr:{n}": np.asarray(p[:count]) for n, p in psnr.items()}
    with replacing(path, "wb") as file:
        np.savez_compressed(file, **arrays)


def load_shown(path: str) -> Shown | None:
    """Reads what `save_shown` wrote; None if the file does not exist.

    Raises:
        UserError: if the file is damaged.
    """
    if not os.path.exists(path):
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        names = [str(name) for name in found.pop("names")]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        expected = "pictures of an inversion; the same command writes them again"
        raise UserError(f"{path}: found {error}, expected {expected}") from error
    columns = {n[2:]: x for n, x in found.items() if n.startswith("x:")}
    psnr = {n[5:]: list(map(float, x)) for n, x in found.items() if n[:5] == "psnr:"}
    return Shown(names, columns, psnr)


def error_map(
    pixels: UInt8[np.ndarray, "h w c"], truth: UInt8[np.ndarray, "h w c"]
) -> Float[np.ndarray, "h w"]:
    """Returns |x - truth|, the largest over channels, as a share of the image range."""
    return np.abs(pixels.astype(float) - truth).max(axis=-1) / 255
