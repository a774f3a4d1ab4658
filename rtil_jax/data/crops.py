"""Crops a square from a photograph at a prior's size, and pastes results back."""

from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from rtil_jax.data.pixels import opacity, upright
from rtil_jax.errors import UserError

# Left, top and side of a square, in pixels.
Box = tuple[int, int, int]
# Of 255. JPEG changes white a little, but a smoothed edge must not count as white.
WHITE = 250


def read_photograph(
    path: str,
) -> tuple[UInt8[np.ndarray, "height width channels"], np.ndarray | None]:
    """Reads a photograph: returns (pixels, where they are opaque).

    Pixels are upright, have 8 bits, and are grey or RGB. Transparent pixels are put on
    white. Without an alpha channel the second value is None.

    Raises:
        UserError: if the file is not a picture that can be read.
    """
    expected = "a picture such as a PNG or JPEG"
    try:
        with open(path, "rb") as file:
            encoded = file.read()
    except OSError as error:
        found = f"no readable file ({error.strerror})"
        raise UserError(f"{path}: found {found}, expected {expected}") from error
    try:
        pixels, alpha = np.asarray(upright(encoded)[0]), opacity(encoded)
    except Exception as error:  # Pillow may raise almost anything
        found = " ".join(str(error).split())
        raise UserError(f"{path}: {found}, expected {expected}") from error
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return pixels, None if alpha is None else alpha >= WHITE


def read_mask(
    path: str, height: int, width: int, photo: str
) -> Bool[np.ndarray, "height width"]:
    """Reads a mask: returns where it is white and opaque, which marks seen pixels.

    Args:
        path: the picture of the mask.
        height, width: the size of the photograph.
        photo: the path of the photograph, for errors.

    Raises:
        UserError: if the mask cannot be read, is not as large as the photograph, or
            marks no pixel.
    """
    pixels, opaque = read_photograph(path)
    if pixels.shape[:2] != (height, width):
        raise UserError(
            f"{path}: found a mask of {pixels.shape[1]} x {pixels.shape[0]} pixels, "
            f"expected {width} x {height}, the size of {photo}"
        )
    seen = pixels.min(axis=-1) >= WHITE
    seen = seen if opaque is None else seen & opaque
    if not seen.any():
        raise UserError(
            f"{path}: found a mask without white pixels (values {pixels.min()} to "
            f"{pixels.max()}), expected white (255) where a pixel is seen"
        )
    return seen


def check_box(box: Any, height: int, width: int, size: int) -> Box:
    """Returns left, top and side of the square to cut out.

    Args:
        box: (left, top, side) in pixels; None for the central square.
        height: of the picture.
        width: of the picture.
        size: height and width of the result.

    Raises:
        UserError: if the square is not within the picture, or smaller than `size`: a
            crop is shrunk, never enlarged.
    """
    side = min(height, width)
    if box is None:
        box = ((width - side) // 2, (height - side) // 2, side)
    left, top, side = box
    inside = min(left, top) >= 0 and left + side <= width and top + side <= height
    if not inside or side < 1:
        raise UserError(
            f"--box: found {left},{top},{side}, expected LEFT,TOP,SIDE of a square "
            f"within the picture of {width} x {height} pixels"
        )
    if side < size:
        raise UserError(
            f"--size: found {size} for a square of {side} x {side} pixels, expected at "
            f"most {side}, because a crop is never enlarged"
        )
    return left, top, side


def shrink_by_area(
    pixels: UInt8[np.ndarray, "side side channels"], size: int
) -> UInt8[np.ndarray, "size size channels"]:
    """Shrinks by the mean over the area of each small pixel, for any ratio of sizes."""
    weights = _overlaps(len(pixels), size)
    rows = np.tensordot(weights, pixels.astype(np.float32), (1, 0))
    both = np.tensordot(weights, rows, (1, 1)).swapaxes(0, 1)
    return np.clip(np.round(both), 0, 255).astype(np.uint8)


def shrink_by_minimum(
    seen: Bool[np.ndarray, "side side"], size: int
) -> Bool[np.ndarray, "size size"]:
    """Marks the small pixels that touch only seen pixels."""
    for _ in range(2):
        spans = _spans(len(seen), size)
        seen = np.stack([seen[start:stop].all(axis=0) for start, stop in spans]).T
    return seen


def paste_unseen(
    photo: UInt8[np.ndarray, "height width channels"],
    seen: Bool[np.ndarray, "height width"],
    recovered: UInt8[np.ndarray, "size size shades"],
    box: Box,
) -> UInt8[np.ndarray, "height width shades"]:
    """Replaces the unseen pixels of a photograph inside a box.

    The recovered pixels are enlarged with Lanczos. The result is RGB if either is.

    Args:
        photo: uint8 pixels of the photograph.
        seen: which of them stay.
        recovered: uint8 pixels of the recovered square.
        box: (left, top, side) of the square in the photograph.
    """
    left, top, side = box
    channels = max(photo.shape[-1], recovered.shape[-1])
    result = np.repeat(photo, channels // photo.shape[-1], axis=-1)
    mode = "L" if channels == 1 else "RGB"
    image = Image.fromarray(recovered.squeeze(-1) if channels == 1 else recovered)
    large = image.convert(mode).resize((side, side), Image.Resampling.LANCZOS)
    new = np.asarray(large).reshape(side, side, channels)
    at = slice(top, top + side), slice(left, left + side)
    result[at] = np.where(seen[at][..., None], result[at], new)
    return result


def _spans(side: int, size: int) -> list[tuple[int, int]]:
    """Returns, for each small pixel, the first pixel and the end of those it touches.

    It uses whole numbers, because rounded fractions could leave a hole.
    """
    return [(i * side // size, -(-(i + 1) * side // size)) for i in range(size)]


def _overlaps(side: int, size: int) -> np.ndarray:
    """Returns, as `(size, side)`, the share of each pixel in each small pixel."""
    edges = np.arange(side + 1)
    weights = np.zeros((size, side), np.float32)
    for i, row in enumerate(weights):
        inside = np.clip(edges * size, i * side, (i + 1) * side)
        row[:] = np.diff(inside) / side
    return weights
