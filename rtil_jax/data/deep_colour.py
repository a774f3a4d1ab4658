"""Reads 16-bit colours, because Pillow only reads their upper 8 bits."""

import io
import math
import re
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageFile

# Pillow's mode that takes one byte of two -> the mode that takes the other one.
_OTHER_BYTE = {
    f"{bands};16{order}": f"{bands};16{other}"
    for bands in ("RGB", "RGBA")
    for order, other in ("BL", "LB", "NB")  # N is L on the machines that JAX runs on
}


# Pillow's decoders of PGM and PPM, whose arguments contain the value of white.
_PNM = ("ppm", "ppm_plain")


def has_deep_colours(image: Image.Image) -> bool:
    """Tells whether an image has 16-bit colours, before it is loaded."""
    tiles = getattr(image, "tile", [])
    if tiles and tiles[0][0] in _PNM:
        return image.mode == "RGB" and declared_white(image) > 255
    return bool(tiles) and all(_raw_mode(tile) in _OTHER_BYTE for tile in tiles)


def declared_white(image: Image.Image) -> int:
    """Returns the value of white in an image with more than 8 bits, before loading.

    It is 65535, except for PGM and PPM, which state it and which Pillow scales by it.
    """
    tiles = getattr(image, "tile", [])
    return tiles[0][3][-1] if tiles and tiles[0][0] in _PNM else 65535


def deep_colours(encoded: bytes) -> Float[np.ndarray, "height width 3"]:
    """Returns the values as they are in the file, without transparency."""
    upper, lower = (Image.open(io.BytesIO(encoded)) for _ in range(2))
    if upper.format == "PPM":
        return _pnm_colours(encoded, upper)
    lower.tile = [_swapped(tile) for tile in lower.tile]
    for image in (upper, lower):
        if image.format == "TIFF":  # as in `pixels._load`
            image.load_end = lambda: None  # type: ignore[method-assign]
    high, low = (np.asarray(image)[..., :3] for image in (upper, lower))
    return high * 256.0 + low


def _pnm_colours(
    encoded: bytes, image: ImageFile.ImageFile
) -> Float[np.ndarray, "height width 3"]:
    shape = image.height, image.width, 3
    codec, _, start, _ = image.tile[0]
    if codec == "ppm_plain":
        text = re.sub(rb"#[^\r\n]*", b"", encoded[start:])
        return np.array(text.split()[: math.prod(shape)], np.float64).reshape(shape)
    values = np.frombuffer(encoded, ">u2", math.prod(shape), start)
    return values.reshape(shape).astype(np.float64)


def _raw_mode(tile: Any) -> str:
    """Returns how the pixels of a tile are packed; "" if its decoder does not say."""
    arguments = tile[3]
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _swapped(tile: Any) -> Any:
    other, arguments = _OTHER_BYTE[_raw_mode(tile)], tile[3]
    new = other if isinstance(arguments, str) else (other, *arguments[1:])
    named = hasattr(tile, "_replace")  # a plain tuple in older versions
    return tile._replace(args=new) if named else (*tile[:3], new)
