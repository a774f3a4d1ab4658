"""Reads measurements that are pictures: masked, small, blurred, grey or noisy ones."""

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from rtil_jax.data import to_float
from rtil_jax.data.crops import WHITE
from rtil_jax.data.loading import warn_of_levels
from rtil_jax.data.pixels import Window, decode
from rtil_jax.data.sources import identity
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.measuring import in_range
from rtil_jax.experiments.measurements.measured import Measured, ratio_of
from rtil_jax.experiments.measurements.picture_files import (
    Decoder,
    PictureFile,
    fingerprint_of,
    kernel_of,
    list_pictures,
    mask_of,
)
from rtil_jax.operators import (
    Blur,
    Colourisation,
    Denoising,
    Inpainting,
    SuperResolution,
)
from rtil_jax.operators.interface import ImageShape

# Common names of problems whose measurements are pictures -> their names here.
PROBLEMS = {
    "inpainting": "inpainting",
    "box_inpainting": "inpainting",
    "super_resolution": "super_resolution",
    "deblurring": "deblurring",
    "gaussian_deblurring": "deblurring",
    "motion_deblurring": "deblurring",
    "colourisation": "colourisation",
    "denoising": "denoising",
}


@dataclasses.dataclass(frozen=True)
class _Read:
    """y of all pictures, in [-1, 1], with one operator, or one for each."""

    y: np.ndarray
    operator: Any
    shared: bool = True
    ratio: float | None = None
    remarks: tuple[str, ...] = ()
    more: tuple[str, ...] = ()  # identities of what else was read


def load_pictures(
    path: str,
    problem: str,
    image_shape: ImageShape,
    window: Window = (),
    limits: tuple = (-1, 1),
) -> Measured:
    """Reads measurements from a picture, or from a folder of pictures.

    For inpainting, `mask.png` or a folder `masks` with the same names lies beside the
    pictures (white is seen); without them the alpha channels are the masks. For
    deblurring, `kernel.png` or `kernel.npy` lies beside them.

    Args:
        path: the picture or folder.
        problem: one of `PROBLEMS`.
        image_shape: `(height, width, channels)` of the images to recover.
        window: the values of black and white in pictures with more than 8 bits.
        limits: the values of black and white in the images to recover.

    Raises:
        UserError: if the pictures cannot be measurements of such images.
    """
    if problem not in PROBLEMS:
        known = ", ".join(dict.fromkeys(PROBLEMS.values()))
        raise UserError(
            f"config.problem: found {problem} with pictures in {path}, expected one of "
            f"{known}, such as --config.problem=inpainting"
        )
    name = PROBLEMS[problem]
    files, decoder = list_pictures(path), Decoder(window)
    read = _READERS[name](files, path, image_shape, decoder)
    if decoder.levels and not window:
        lows, highs = zip(*decoder.levels, strict=True)
        warn_of_levels(path, min(lows), max(highs))
    ratio = read.ratio or ratio_of(read.operator, image_shape, read.shared)
    y = in_range(read.y, limits)
    if isinstance(read.operator, Inpainting):
        y = y * np.asarray(read.operator.mask)
    marks = read.more or ("",) * len(files)
    return Measured(
        source=os.path.basename(os.path.abspath(path)),
        names=tuple(file.name for file in files),
        identities=tuple(
            f"{name}-{fingerprint_of(file.encoded)}{mark}"
            for file, mark in zip(files, marks, strict=True)
        ),
        problem=name,
        ratio=ratio,
        y=y,
        operators=read.operator,
        shared=read.shared,
        remarks=read.remarks,
    )


def _masked(
    files: list[PictureFile], path: str, shape: ImageShape, decoder: Decoder
) -> _Read:
    pictures, masks, marks, remarks = [], [], [], []
    find = mask_of(path, files)
    for file in files:
        pixels, alpha, _ = decoder.whole(file, shape[-1])
        mask = find(file)
        if mask is None and alpha is None:
            raise UserError(
                f"{file.path}: found no mask, expected mask.png or masks/{file.name} "
                "beside it (white is seen), or an alpha channel"
            )
        opaque = np.ones(pixels.shape[:2], bool) if alpha is None else alpha >= WHITE
        seen, says = (opaque, file.path) if mask is None else (mask.seen, mask.path)
        if seen.shape != opaque.shape:
            raise UserError(
                f"{says}: found a mask of {_size(seen)} pixels, expected "
                f"{_size(pixels)}, the size of {file.name}"
            )
        seen = seen & opaque
        if not seen.any():
            raise UserError(
                f"{says}: found a mask without white pixels, expected white (or an "
                "opaque alpha channel) where pixels are seen"
            )
        _require_size(file, pixels, shape, mask=mask is not None)
        if mask is not None and mask.is_soft:
            name = os.path.basename(mask.path)
            remarks.append(f"{name}: grey pixels count as not seen")
        pictures.append(to_float(pixels))
        masks.append(seen[..., None])
        marks.append(f"-{identity(seen.size, int(seen.sum()))}-{_crc(seen)}")
    if np.all(masks):
        remarks.append("every pixel is seen")
    operator = Inpainting(np.stack(masks), channels=shape[-1])
    return _Read(
        np.stack(pictures),
        operator,
        shared=False,
        remarks=tuple(dict.fromkeys(remarks)),
        more=tuple(marks),
    )


def _small(
    files: list[PictureFile], path: str, shape: ImageShape, decoder: Decoder
) -> _Read:
    found: list[np.ndarray] = []
    remarks: list[str] = []
    for file in files:
        pixels, remark = _square(file, shape[-1], decoder)
        side = pixels.shape[0]
        whole = shape[0] == shape[1] and shape[0] % side == 0 and side < shape[0]
        if not whole:
            sizes = [shape[0] // f for f in range(2, shape[0]) if shape[0] % f == 0]
            expected = ", ".join(f"{n} x {n}" for n in sizes if n > 1)
            raise UserError(
                f"{file.path}: found {_size(pixels)} pixels, expected {expected}: the "
                f"{shape[0]} x {shape[1]} pixels of the prior divided by a whole number"
            )
        if found and found[0].shape != pixels.shape:
            raise UserError(
                f"{file.path}: found {_size(pixels)} pixels, expected "
                f"{_size(found[0])}, the size of {files[0].name}: all need one factor"
            )
        found.append(pixels)
        remarks += remark
    factor = shape[0] // found[0].shape[0]
    remarks.insert(0, f"factor {factor}")
    operator = SuperResolution(factor, shape)
    y = to_float(np.stack(found))
    return _Read(y, operator, ratio=1 / factor, remarks=tuple(remarks))


def _blurred(
    files: list[PictureFile], path: str, shape: ImageShape, decoder: Decoder
) -> _Read:
    kernel, says = kernel_of(path)
    if any(n > size for n, size in zip(kernel.shape, shape, strict=False)):
        raise UserError(
            f"{says}: found a kernel of {_size(kernel)} pixels, expected at most "
            f"{shape[0]} x {shape[1]}, the size of the image"
        )
    operator = Blur(kernel, shape, borders="reflect")
    y, remarks = _all_whole(files, shape, decoder)
    marks = (f"-{_crc(kernel)}",) * len(files)
    remark = f"kernel of {_size(kernel)} pixels, of sum 1, reflected borders"
    remarks = (remark, *remarks)
    return _Read(y, operator, ratio=1.0, remarks=remarks, more=marks)


def _grey(
    files: list[PictureFile], path: str, shape: ImageShape, decoder: Decoder
) -> _Read:
    if shape[-1] != 3:
        raise UserError(
            f"config.problem: found colourisation with a prior of {shape[-1]} channel, "
            "expected a prior of 3 channels (RGB)"
        )
    found, remarks = [], []
    for file in files:
        if shape[0] != shape[1]:
            pixels, more = decoder.opaque(file, 1)
            _require_size(file, pixels, shape)
        else:
            whole, more = decoder.opaque(file, 1)
            pixels = decode(file.encoded, shape[0], 1, decoder.window).pixels
            if whole.shape[:2] != pixels.shape[:2]:
                more.append(
                    f"{file.name}: the central square of {_size(whole)} pixels, "
                    f"resized to {_size(pixels)}"
                )
        remarks += more
        found.append(pixels)
    y = to_float(np.stack(found))
    operator = Colourisation(image_shape=shape)
    return _Read(y, operator, ratio=1.0, remarks=tuple(remarks))


def _noisy(
    files: list[PictureFile], path: str, shape: ImageShape, decoder: Decoder
) -> _Read:
    y, remarks = _all_whole(files, shape, decoder)
    return _Read(y, Denoising(shape), ratio=1.0, remarks=remarks)


_READERS: dict[str, Callable[[list[PictureFile], str, ImageShape, Decoder], _Read]] = {
    "inpainting": _masked,
    "super_resolution": _small,
    "deblurring": _blurred,
    "colourisation": _grey,
    "denoising": _noisy,
}


def _all_whole(
    files: list[PictureFile], shape: ImageShape, decoder: Decoder
) -> tuple[np.ndarray, tuple[str, ...]]:
    found: list[np.ndarray] = []
    remarks: list[str] = []
    for file in files:
        pixels, more = decoder.opaque(file, shape[-1])
        _require_size(file, pixels, shape)
        found.append(pixels)
        remarks += more
    return to_float(np.stack(found)), tuple(remarks)


def _square(
    file: PictureFile, channels: int, decoder: Decoder
) -> tuple[np.ndarray, list[str]]:
    """Returns the central square of a picture, and a remark if something is cut."""
    pixels, remarks = decoder.opaque(file, channels)
    height, width = pixels.shape[:2]
    if height == width:
        return pixels, remarks
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    remarks.append(f"{file.name}: the central square of {_size(pixels)} pixels")
    return pixels[top : top + side, left : left + side], remarks


def _require_size(
    file: PictureFile, pixels: np.ndarray, shape: ImageShape, mask: bool = False
) -> None:
    if pixels.shape[:2] == tuple(shape[:2]):
        return
    also = " --mask MASK" if mask else ""
    rows = "" if pixels.shape[0] == pixels.shape[1] else " (height x width)"
    raise UserError(
        f"{file.path}: found {_size(pixels)} pixels{rows}, expected {shape[0]} x "
        f"{shape[1]}, the size of the prior's images; use rtil crop {file.path}{also} "
        f"--size {shape[0]} --to DIR"
    )


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[0]} x {pixels.shape[1]}"


def _crc(array: np.ndarray) -> str:
    return fingerprint_of(np.ascontiguousarray(array).tobytes())
