"""Reads the files of measurements that are pictures: pictures, masks, and a kernel."""

import dataclasses
import os
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rtil_jax.data.crops import WHITE
from rtil_jax.data.formats import is_hidden, is_image
from rtil_jax.data.pixels import Whole, Window, decode_whole
from rtil_jax.data.sources import check_size, identity
from rtil_jax.errors import UserError

# Files with these names, with any extension, are not measurements.
SPECIAL = ("mask", "kernel")


@dataclasses.dataclass(frozen=True)
class PictureFile:
    """The file of a picture that is not decoded yet."""

    path: str

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    @property
    def stem(self) -> str:
        return os.path.splitext(self.name)[0]

    @property
    def encoded(self) -> bytes:
        """Reads its bytes; raises UserError if they cannot be read."""
        try:
            check_size(os.stat(self.path).st_size)
            with open(self.path, "rb") as file:
                return file.read()
        except (OSError, ValueError) as error:
            raise UserError(f"{self.path}: cannot be read ({error})") from error


class Decoder:
    """Decodes pictures, and notes the levels of those with more than 8 bits."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.levels: list[tuple[float, float]] = []

    def whole(self, file: PictureFile, channels: int) -> Whole:
        """Decodes a picture in its original size; raises UserError if it cannot."""
        try:
            found = decode_whole(file.encoded, channels, self.window)
        except UserError:
            raise
        except Exception as error:  # Pillow raises almost any.
            raise UserError(
                f"{file.path}: cannot be read as a picture ({error})"
            ) from error
        if found.levels:
            self.levels.append(found.levels)
        return found

    def opaque(self, file: PictureFile, channels: int) -> tuple[np.ndarray, list[str]]:
        """Puts transparent pixels on white; returns pixels, and a remark about it."""
        pixels, alpha, _ = self.whole(file, channels)
        if alpha is None or alpha.min(initial=255) == 255:
            return pixels, []
        share = alpha[..., None] / 255
        on_white = np.round(share * pixels + 255 * (1 - share)).astype(np.uint8)
        return on_white, [f"{file.name}: transparent pixels were put on white"]


def fingerprint_of(encoded: bytes) -> str:
    """Returns a hash of bytes."""
    return identity(len(encoded), zlib.crc32(encoded))


def list_pictures(path: str) -> list[PictureFile]:
    """Lists a picture, or the pictures directly in a folder, in the order of names.

    Raises:
        UserError: if there are no pictures.
    """
    if os.path.isfile(path):
        return [PictureFile(path)]
    found = [file for file in _pictures_in(path) if file.stem.lower() not in SPECIAL]
    if not found:
        raise UserError(
            f"{path}: found no pictures in this folder, expected at least one (besides "
            "mask.png, kernel.png and the folder masks)"
        )
    return found


def _pictures_in(folder: str) -> list[PictureFile]:
    names = sorted(name for name in os.listdir(folder) if not is_hidden([name]))
    paths = [os.path.join(folder, name) for name in names if is_image(name)]
    return [PictureFile(path) for path in paths if os.path.isfile(path)]


def folder_of(path: str) -> str:
    """Returns the folder of the files beside the pictures."""
    return path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))


class Mask(NamedTuple):
    """The mask of a picture, which marks seen pixels.

    Attributes:
        seen: `(height, width)`, bool.
        path: the file of the mask.
        is_soft: whether some pixels are neither black nor white; they count as unseen.
    """

    seen: np.ndarray
    path: str
    is_soft: bool


def mask_of(
    path: str, files: list[PictureFile]
) -> Callable[[PictureFile], Mask | None]:
    """Returns a function from a picture to its mask, or None if it has no mask.

    Raises:
        UserError: if the names in the folder `masks` differ from those of the pictures.
    """
    folder = folder_of(path)
    masks = os.path.join(folder, "masks")
    one = _special(folder, "mask")
    if os.path.isdir(masks):
        named = {file.stem: file for file in _pictures_in(masks)}
        stems = {file.stem: file for file in files}
        without = [file.name for stem, file in stems.items() if stem not in named]
        surplus = [file.name for stem, file in named.items() if stem not in stems]
        if without or (surplus and os.path.isdir(path)):
            parts = [f"no mask for {_few(without)}"] if without else []
            parts += [f"no picture for {_few(surplus)}"] if surplus else []
            raise UserError(
                f"{masks}: found {' and '.join(parts)}, expected a mask of the same "
                "name for each picture"
            )
        return lambda file: _read_mask(named[file.stem].path)
    mask = _read_mask(one) if one else None
    return lambda file: mask


def kernel_of(path: str) -> tuple[np.ndarray, str]:
    """Reads the blur kernel beside the pictures; returns it with sum 1, and its file.

    Raises:
        UserError: if there is no kernel, or it cannot be used.
    """
    found = _special(folder_of(path), "kernel")
    if not found:
        raise UserError(
            f"{folder_of(path)}: found no kernel, expected kernel.png or kernel.npy, "
            "the blurred picture of a single white pixel in the middle"
        )
    if found.lower().endswith(".npy"):
        kernel = _numbers(found)
    else:
        kernel = _decoded(found).pixels.astype(np.float64)
    kernel = kernel[..., 0] if kernel.ndim == 3 and kernel.shape[-1] == 1 else kernel
    if kernel.ndim != 2 or not kernel.size:
        raise UserError(
            f"{found}: found shape {kernel.shape}, expected (rows, columns)"
        )
    if not np.isfinite(kernel).all():
        raise UserError(f"{found}: found NaN or infinity, expected finite numbers")
    total = kernel.sum()
    if abs(total) <= 1e-6 * np.abs(kernel).sum():
        raise UserError(
            f"{found}: found a kernel whose sum is 0, expected a kernel with another "
            "sum, which keeps some brightness"
        )
    return (kernel / total).astype(np.float32), found


def _special(folder: str, stem: str) -> str:
    """Returns the path of a file like `mask.png` or `mask.npy`; "" if there is none."""
    names = [name for name in os.listdir(folder) if name.lower() == f"{stem}.npy"]
    pictures = [f.path for f in _pictures_in(folder) if f.stem.lower() == stem]
    found = [os.path.join(folder, name) for name in names] + pictures
    if len(found) > 1:
        several = " and ".join(map(os.path.basename, found))
        raise UserError(f"{folder}: found {several}, expected one of them")
    return found[0] if found else ""


def _read_mask(path: str) -> Mask:
    """Reads a mask: opaque white is seen; in arrays True, 1 or 255."""
    alpha: np.ndarray | None = None
    if path.lower().endswith(".npy"):
        values = _numbers(path)
    else:
        values, alpha, _ = _decoded(path)
    values = values[..., 0] if values.ndim == 3 and values.shape[-1] == 1 else values
    if values.ndim != 2:
        raise UserError(f"{path}: found shape {values.shape}, expected (height, width)")
    if not (values.size and 0 <= values.min() <= values.max() <= 255):
        raise UserError(
            f"{path}: found values from {values.min(initial=0):g} to "
            f"{values.max(initial=0):g}, expected 1 or 255 where a pixel is seen and 0 "
            "elsewhere"
        )
    levels = np.asarray(values, np.float64)
    if levels.max() > 1:  # else masks of 0 and 1, as programs write them
        levels /= 255
    least = WHITE / 255
    seen, soft = levels >= least, (levels > 1 - least) & (levels < least)
    if alpha is not None:
        seen &= alpha >= WHITE
    return Mask(seen, path, bool(soft.any()))


def _decoded(path: str) -> Whole:
    file = PictureFile(path)
    try:
        return decode_whole(file.encoded, 1)
    except UserError:
        raise
    except Exception as error:  # Pillow raises almost any.
        raise UserError(f"{path}: cannot be read as a picture ({error})") from error


def _numbers(path: str) -> np.ndarray:
    """Reads an array of real numbers; raises UserError for anything else."""
    try:
        array = np.load(path, allow_pickle=False)
    except Exception as error:  # the file may hold anything
        raise UserError(
            f"{path}: cannot be read as an array ({error}), expected a .npy file"
        ) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        kind = getattr(array, "dtype", type(array).__name__)
        raise UserError(f"{path}: found {kind}, expected an array of real numbers")
    return array if array.dtype.kind == "b" else array.astype(np.float64)


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
