"""Decodes images to pixels of one size and format; converts between value ranges."""

import io
import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, UInt8
from PIL import ExifTags, Image, UnidentifiedImageError

from rtil_jax.data.deep_colour import declared_white, deep_colours, has_deep_colours
from rtil_jax.errors import UserError

# The values of black and white, or () for FULL_RANGE.
Window = tuple[float | int, ...]
FULL_RANGE = (0, 65535)
WINDOW = "the values of black and white, such as (0, 4095), or () for (0, 65535)"
FIELDS = "--config.data.window=(0, 4095), or --config.images.window"
# EXIF's orientation -> the operation that makes the picture upright.
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
    """Tells whether this is (), or the values of black and white in this order."""
    if not isinstance(values, tuple | list) or len(values) not in (0, 2):
        return False
    numbers = all(type(value) in (int, float) for value in values)
    return numbers and (not values or 0 < values[1] - values[0] < math.inf)


class Decoded(NamedTuple):
    """A decoded image, with facts about the picture that it was made from.

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
        window: the values of black and white in images with more than 8 bits, such as
            `(0, 4095)`; () for (0, 65535). Values beyond are clipped.

    Raises:
        Exception: if the image is damaged, has floating-point pixels and no window, or
            has more than 178,956,970 pixels, which Pillow takes for an attack.
    """
    return decode(encoded, resolution, channels, window).pixels


def decode(
    encoded: bytes, resolution: int, channels: int, window: Window = ()
) -> Decoded:
    """Decodes an image as `decode_image` does, and returns facts about it too.

    Args:
        encoded: the content of an image file.
        resolution: height and width of the result.
        channels: 1 for grey, 3 for RGB.
        window: the values of black and white, see `decode_image`.
    """
    image, levels = upright(encoded, window)
    side, cut = min(image.size), 1 - min(image.size) / max(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # Not `resize(box=...)`, because its filter also reads pixels outside the box.
    square = image.crop((left, top, left + side, top + side))
    square = square.resize((resolution, resolution), Image.Resampling.LANCZOS)
    pixels = np.array(square.convert("L" if channels == 1 else "RGB"))
    return Decoded(pixels.reshape(resolution, resolution, channels), cut, levels)


def upright(
    encoded: bytes, window: Window = ()
) -> tuple[Image.Image, tuple[float, float] | None]:
    """Returns a whole picture, opaque, in "L" or "RGB" and upright, and its levels.

    Raises:
        Exception: as `decode_image`.
    """
    image, levels = open_upright(encoded, window)
    return _opaque(image), levels


class Whole(NamedTuple):
    """A picture in its original size.

    Attributes:
        pixels: `(height, width, channels)`, with the file's colours also where the
            picture is transparent.
        alpha: its opacity, `(height, width)`; None without an alpha channel.
        levels: the lowest and the highest value, if it has more than 8 bits.
    """

    pixels: UInt8[np.ndarray, "height width channels"]
    alpha: UInt8[np.ndarray, "height width"] | None
    levels: tuple[float, float] | None


def decode_whole(encoded: bytes, channels: int, window: Window = ()) -> Whole:
    """Decodes an image without cropping or resizing it.

    Args:
        encoded: the content of an image file.
        channels: 1 for grey, 3 for RGB.
        window: the values of black and white, see `decode_image`.

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
    """Returns an upright picture with eight bits, and its levels if it had more."""
    try:
        image: Image.Image = Image.open(io.BytesIO(encoded))
    except UnidentifiedImageError as error:  # its message only names an object
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
    """Returns EXIF's orientation, 1 to 8; 1, upright, if it cannot be read."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
        # Some writers store a byte, a text, a fraction, or one of these in a list.
        while isinstance(value, tuple | list | bytes):
            value = value[0]
        return int(float(value))
    except Exception:  # Pillow may raise almost anything.
        return 1


def _windowed_grey(
    image: Image.Image, window: Window, white: int
) -> tuple[Image.Image, tuple[float, float]]:
    """Reduces grey values to eight bits (Pillow would clip); returns the levels too."""
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
    """Reduces 16-bit colours to eight bits; without a window Pillow does it well."""
    try:
        values = deep_colours(encoded)
    except Exception:  # some compressions of TIFF cannot be read in this way
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
    """Returns an opaque "L" or "RGB" version of an image in any 8-bit mode."""
    if _has_alpha(image):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def opacity(encoded: bytes) -> UInt8[np.ndarray, "height width"] | None:
    """Returns the alpha channel of a picture, upright; None if it has none.

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
    """Converts uint8 pixels in [0, 255] to float32 in [-1, 1].

    >>> to_float(np.array([0, 255], np.uint8)).tolist()
    [-1.0, 1.0]

    Raises:
        UserError: if the pixels are not uint8.
    """
    pixels = np.asarray(images)
    if pixels.dtype != np.uint8:
        raise UserError(
            f"to_float: found {pixels.dtype}, expected uint8 pixels in [0, 255]; for "
            "floating-point pixels in this range write x / 127.5 - 1"
        )
    values = pixels / np.float32(127.5)
    values -= 1
    return values


def shrink(
    images: Float[np.ndarray | Array, "batch height width channels"], resolution: int
) -> Float[np.ndarray | Array, "batch resolution resolution channels"]:
    """Shrinks images to a smaller power of two by means over squares of pixels."""
    batch, size, _, channels = images.shape
    if size == resolution:
        return images
    square = size // resolution
    squares = (batch, resolution, square, resolution, square, channels)
    return images.reshape(squares).mean(axis=(2, 4))


def to_uint8(images: Any) -> UInt8[np.ndarray, "..."]:
    """Converts pixels in [-1, 1] to uint8 in [0, 255]; clips values outside.

    >>> to_uint8(np.array([-1.0, 0.0, 3.0])).tolist()
    [0, 128, 255]

    Raises:
        UserError: if the pixels are whole numbers.
    """
    values = np.asarray(images)
    if values.dtype.kind not in "fV":  # V for bfloat16
        raise UserError(
            f"to_uint8: found {values.dtype}, expected floating-point pixels in [-1, 1]"
        )
    levels = np.round((values.astype(np.float32) + 1) * 127.5)
    return np.clip(levels, 0, 255).astype(np.uint8)
