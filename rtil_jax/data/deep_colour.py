"""The lower halves of 16-bit colours, of which Pillow reads the upper halves only."""

import io
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

# How Pillow is told which byte of two to take, and how to get the other one.
_OTHER_BYTE = {
    f"{bands};16{order}": f"{bands};16{other}"
    for bands in ("RGB", "RGBA")
    for order, other in ("BL", "LB", "NB")  # N is L on the machines that JAX runs on
}


def has_deep_colours(image: Image.Image) -> bool:
    """Whether an image that is not loaded yet has 16-bit colours, as some PNGs have."""
    tiles = getattr(image, "tile", [])
    return bool(tiles) and all(_raw_mode(tile) in _OTHER_BYTE for tile in tiles)


def deep_colours(encoded: bytes) -> Float[np.ndarray, "height width 3"]:
    """The colours as numbers in [0, 65535], less a band of transparency."""
    upper, lower = (Image.open(io.BytesIO(encoded)) for _ in range(2))
    lower.tile = [_swapped(tile) for tile in lower.tile]
    for image in (upper, lower):
        if image.format == "TIFF":  # as in `decode`
            image.load_end = lambda: None  # type: ignore[method-assign]
    high, low = (np.asarray(image)[..., :3] for image in (upper, lower))
    return high * 256.0 + low


def _raw_mode(tile: Any) -> str:
    """How the pixels of a tile are packed; "" where its decoder is not told."""
    arguments = tile[3]
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _swapped(tile: Any) -> Any:
    other, arguments = _OTHER_BYTE[_raw_mode(tile)], tile[3]
    new = other if isinstance(arguments, str) else (other, *arguments[1:])
    named = hasattr(tile, "_replace")  # a plain tuple in older versions
    return tile._replace(args=new) if named else (*tile[:3], new)
