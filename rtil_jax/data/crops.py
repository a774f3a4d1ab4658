"""A square of a photograph at a prior's size, and what was recovered pasted back."""

from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from rtil_jax.data.pixels import opacity, upright
from rtil_jax.errors import UserError

# Left, top and side of a square, in pixels.
Box = tuple[int, int, int]
# Of 255. White, but for what a JPEG makes of it: an edge that was smoothed is no white.
WHITE = 250


def read_photograph(
    path: str,
) -> tuple[UInt8[np.ndarray, "height width channels"], np.ndarray | None]:
    """(pixels, where they are opaque), upright, of 8 bits, grey or RGB.

    Transparent pixels are on white, as everywhere. Without an alpha channel the second
    is None.

    Raises:
        UserError: if it is no picture that can be read.
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
    except Exception as error:  # Pillow raises almost any
        found = " ".join(str(error).split())
        raise UserError(f"{path}: {found}, expected {expected}") from error
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return pixels, None if alpha is None else alpha >= WHITE


def read_mask(
    path: str, height: int, width: int, photo: str
) -> Bool[np.ndarray, "height width"]:
    """Where a mask is white: there pixels are seen. What is transparent is not.

    Args:
        path: of a picture.
        height, width: of the photograph.
        photo: its path, for errors.

    Raises:
        UserError: if it cannot be read, has another size than the photograph, whose
            path is `photo`, or sees nothing.
    """
    pixels, opaque = read_photograph(path)
    if pixels.shape[:2] != (height, width):
        raise UserError(
            f"{path}: found a mask of {pixels.shape[1]} x {pixels.shape[0]} pixels, "
            f"expected {width} x {height}, as {photo} has"
        )
    seen = pixels.min(axis=-1) >= WHITE
    seen = seen if opaque is None else seen & opaque
    if not seen.any():
        raise UserError(
            f"{path}: found a mask that sees nothing, values {pixels.min()} to "
            f"{pixels.max()}, expected white (255) where a pixel is seen"
        )
    return seen


def check_box(box: Any, height: int, width: int, size: int) -> Box:
    """Left, top and side of the square to cut out; None is the central one.

    Raises:
        UserError: if it is not within the picture, or smaller than `size`: a crop is
            shrunk, never enlarged.
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
            "most its side: pixels are averaged, never made up"
        )
    return left, top, side


def shrink_by_area(
    pixels: UInt8[np.ndarray, "side side channels"], size: int
) -> UInt8[np.ndarray, "size size channels"]:
    """Means over the area of each small pixel, of any ratio of the sizes."""
    weights = _overlaps(len(pixels), size)
    rows = np.tensordot(weights, pixels.astype(np.float32), (1, 0))
    both = np.tensordot(weights, rows, (1, 1)).swapaxes(0, 1)
    return np.clip(np.round(both), 0, 255).astype(np.uint8)


def shrink_by_minimum(
    seen: Bool[np.ndarray, "side side"], size: int
) -> Bool[np.ndarray, "size size"]:
    """Whether all pixels that a small pixel touches are seen."""
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
    """The photograph with its unseen pixels in the box replaced.

    What was recovered is enlarged with Lanczos. The result is RGB if either is.
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
    """The first pixel that each small pixel touches, and the one after the last.

    In whole numbers, because the rounding of fractions could let a hole in.
    """
    return [(i * side // size, -(-(i + 1) * side // size)) for i in range(size)]


def _overlaps(side: int, size: int) -> np.ndarray:
    """`(size, side)`: the share that each pixel has in each small one."""
    edges = np.arange(side + 1)
    weights = np.zeros((size, side), np.float32)
    for i, row in enumerate(weights):
        inside = np.clip(edges * size, i * side, (i + 1) * side)
        row[:] = np.diff(inside) / side
    return weights
