"""From an encoded image to pixels of one size and format, and the two value ranges."""

import io
import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, UInt8
from PIL import ExifTags, Image, UnidentifiedImageError

from rtil_jax.data.deep_colour import declared_white, deep_colours, has_deep_colours
from rtil_jax.errors import UserError

# Black and white, or () for FULL_RANGE.
Window = tuple[float | int, ...]
FULL_RANGE = (0, 65535)
WINDOW = "the values of black and white, such as (0, 4095), or () for (0, 65535)"
FIELDS = "--config.data.window=(0, 4095), or --config.images.window"
# EXIF's orientation -> what makes the picture upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def is_window(values: Any) -> bool:
    """Whether it is (), or black and white with black below white."""
    if not isinstance(values, tuple | list) or len(values) not in (0, 2):
        return False
    numbers = all(type(value) in (int, float) for value in values)
    return numbers and (not values or 0 < values[1] - values[0] < math.inf)


class Decoded(NamedTuple):
    """An image as it is used, and what it was made of.

    Attributes:
        pixels: `(resolution, resolution, channels)`.
        cut: the fraction of the picture outside its central square.
        levels: the lowest and the highest value, if it has more than 8 bits.
    """

    pixels: UInt8[np.ndarray, "resolution resolution channels"]
    cut: float
    levels: tuple[float, float] | None


def decode_image(
    encoded: bytes, resolution: int, channels: int, window: Window = ()
) -> UInt8[np.ndarray, "resolution resolution channels"]:
    """Decodes an image, crops its central square and resizes it with Lanczos.

    Args:
        encoded: the content of an image file in any format that Pillow reads.
        resolution: height and width of the result.
        channels: 1 for grey, 3 for RGB.
        window: the values that are black and white in pictures of more than 8
            bits, such as `(0, 4095)`; () for (0, 65535). Others are clipped.

    Raises:
        Exception: if the image is damaged, has floating-point pixels and no window, or
            more of them than Pillow takes for an attack (178,956,970).
    """
    return decode(encoded, resolution, channels, window).pixels


def decode(
    encoded: bytes, resolution: int, channels: int, window: Window = ()
) -> Decoded:
    """The same as `decode_image`, with what it found on the way."""
    image, levels = upright(encoded, window)
    side, cut = min(image.size), 1 - min(image.size) / max(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # Not `resize(box=...)`, whose filter also reads pixels from outside the box.
    square = image.crop((left, top, left + side, top + side))
    square = square.resize((resolution, resolution), Image.Resampling.LANCZOS)
    pixels = np.array(square.convert("L" if channels == 1 else "RGB"))
    return Decoded(pixels.reshape(resolution, resolution, channels), cut, levels)


def upright(
    encoded: bytes, window: Window = ()
) -> tuple[Image.Image, tuple[float, float] | None]:
    """A whole picture in "L" or "RGB", opaque and turned as its EXIF says; its levels.

    Raises:
        Exception: as `decode_image`.
    """
    image, levels = open_upright(encoded, window)
    return _opaque(image), levels


class Whole(NamedTuple):
    """A picture in its own size.

    Attributes:
        pixels: `(height, width, channels)`, those of the file where it is transparent.
        alpha: its opacity, `(height, width)`; None without an alpha channel.
        levels: as of `Decoded`.
    """

    pixels: UInt8[np.ndarray, "height width channels"]
    alpha: UInt8[np.ndarray, "height width"] | None
    levels: tuple[float, float] | None


def decode_whole(encoded: bytes, channels: int, window: Window = ()) -> Whole:
    """Decodes an image without cutting or resizing it.

    Raises:
        Exception: as `decode_image`.
    """
    image, levels = open_upright(encoded, window)
    alpha = None
    if _has_alpha(image):
        image = image.convert("RGBA")
        alpha = np.array(image.getchannel("A"))
    pixels = np.array(image.convert("RGB").convert("L" if channels == 1 else "RGB"))
    return Whole(pixels.reshape(image.height, image.width, channels), alpha, levels)


def open_upright(
    encoded: bytes, window: Window = ()
) -> tuple[Image.Image, tuple[float, float] | None]:
    """A picture of eight bits, upright, and its levels if it had more of them."""
    try:
        image: Image.Image = Image.open(io.BytesIO(encoded))
    except UnidentifiedImageError as error:  # whose message names an object
        raise ValueError(f"found no image in its {len(encoded):,} bytes") from error
    deep, white = has_deep_colours(image), declared_white(image)
    turn = _TURNS.get(_load(image))
    if deep:
        image, levels = _windowed_colours(encoded, image, window, white)
    elif image.mode.startswith("I") or image.mode == "F":
        image, levels = _windowed_grey(image, window, white)
    else:
        levels = None
    return image if turn is None else image.transpose(turn), levels


def _load(image: Image.Image) -> int:
    """Decodes an image; returns its orientation, see `_orientation`.

    `ImageOps.exif_transpose` would also write the EXIF anew, and fail where another
    part of it is malformed; Pillow calls it for every TIFF, after decoding.
    """
    if image.format == "TIFF":
        orientation = _orientation(image)  # `load` lets go of what it is read from
        image.load_end = lambda: None  # type: ignore[attr-defined]
        image.load()
        return orientation
    image.load()  # may come upon the EXIF only after the pixels
    return _orientation(image)


def _orientation(image: Image.Image) -> int:
    """1 to 8; 1, which is upright, where there is none that can be read."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
        # Some writers store a byte, a text, a fraction, or one of these in a list.
        while isinstance(value, tuple | list | bytes):
            value = value[0]
        return int(float(value))
    except Exception:  # Pillow raises almost any.
        return 1


def _windowed_grey(
    image: Image.Image, window: Window, white: int
) -> tuple[Image.Image, tuple[float, float]]:
    """Eight bits of more, and the levels; Pillow itself would clip at 255."""
    values = np.asarray(image).astype(np.float64)
    levels = float(values.min()), float(values.max())
    if image.mode == "F" and not (window and np.isfinite(levels).all()):
        raise ValueError(
            f"found floating-point pixels from {levels[0]:g} to {levels[1]:g}, "
            f"expected whole numbers, or finite ones and a window, as {FIELDS}"
        )
    if window and white != FULL_RANGE[1]:  # as the file has them: Pillow scales them
        values = np.round(values * (white / FULL_RANGE[1]))
    return Image.fromarray(_eight_bits(values, window or FULL_RANGE)), levels


def _windowed_colours(
    encoded: bytes, image: Image.Image, window: Window, white: int
) -> tuple[Image.Image, tuple[float, float] | None]:
    """Likewise of 16-bit colours; without a window Pillow's own are right."""
    try:
        values = deep_colours(encoded)
    except Exception:  # not every compression of a TIFF can be read in this way
        if window:
            raise
        return image, None
    scale = FULL_RANGE[1] / white
    levels = float(values.min()) * scale, float(values.max()) * scale
    if not window:
        return image, levels
    windowed = Image.fromarray(_eight_bits(values, window))
    if "A" in image.getbands():
        windowed.putalpha(image.getchannel("A"))
    return windowed, levels


def _eight_bits(
    values: Float[np.ndarray, "*shape"], window: Window
) -> UInt8[np.ndarray, "*shape"]:
    black, white = window
    levels = np.round((values - black) / (white - black) * 255)
    return np.clip(levels, 0, 255).astype(np.uint8)


def _has_alpha(image: Image.Image) -> bool:
    return "A" in image.getbands() or "transparency" in image.info


def _opaque(image: Image.Image) -> Image.Image:
    """An opaque "L" or "RGB" version of an image of any mode of eight bits."""
    if _has_alpha(image):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def opacity(encoded: bytes) -> UInt8[np.ndarray, "height width"] | None:
    """The alpha channel of a picture, upright; None if it has none.

    Raises:
        Exception: as `decode_image`.
    """
    image: Image.Image = Image.open(io.BytesIO(encoded))
    turn = _TURNS.get(_load(image))
    if not _has_alpha(image) or image.mode.startswith("I"):
        return None
    alpha = image.convert("RGBA").getchannel("A")
    return np.asarray(alpha if turn is None else alpha.transpose(turn))


def to_float(images: Any) -> Float[np.ndarray, "..."]:
    """float32 pixels in [-1, 1] from uint8 ones in [0, 255].

    >>> to_float(np.array([0, 255], np.uint8)).tolist()
    [-1.0, 1.0]

    Raises:
        UserError: for pixels of any other kind.
    """
    pixels = np.asarray(images)
    if pixels.dtype != np.uint8:
        raise UserError(
            f"to_float: found {pixels.dtype}, expected uint8 pixels in [0, 255]; of "
            "floating-point ones in that range x / 127.5 - 1 is in [-1, 1]"
        )
    values = pixels / np.float32(127.5)
    values -= 1
    return values


def shrink(
    images: Float[np.ndarray | Array, "batch height width channels"], resolution: int
) -> Float[np.ndarray | Array, "batch resolution resolution channels"]:
    """Images at a smaller power of two: means over squares of pixels."""
    batch, size, _, channels = images.shape
    if size == resolution:
        return images
    square = size // resolution
    squares = (batch, resolution, square, resolution, square, channels)
    return images.reshape(squares).mean(axis=(2, 4))


def to_uint8(images: Any) -> UInt8[np.ndarray, "..."]:
    """uint8 pixels in [0, 255] from float ones; values outside [-1, 1] are clipped.

    >>> to_uint8(np.array([-1.0, 0.0, 3.0])).tolist()
    [0, 128, 255]

    Raises:
        UserError: for whole numbers.
    """
    values = np.asarray(images)
    if values.dtype.kind not in "fV":  # V for bfloat16
        raise UserError(
            f"to_uint8: found {values.dtype}, expected floating-point pixels in [-1, 1]"
        )
    levels = np.round((values.astype(np.float32) + 1) * 127.5)
    return np.clip(levels, 0, 255).astype(np.uint8)
