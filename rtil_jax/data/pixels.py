"""From an encoded image to pixels of one size and format, and the two value ranges."""

import io

import numpy as np
from jaxtyping import Array, Float, UInt8
from PIL import Image, ImageOps


def decode_image(
    encoded: bytes, resolution: int, channels: int
) -> UInt8[np.ndarray, "resolution resolution channels"]:
    """Decodes an image, crops its central square and resizes it with Lanczos.

    Args:
        encoded: the content of an image file in any format that Pillow reads.
        resolution: height and width of the result.
        channels: 1 for grey, 3 for RGB.

    Raises:
        Exception: if the image is damaged, has floating-point pixels, or more of them
            than Pillow takes for an attack (178,956,970).
    """
    image = _to_eight_bits(ImageOps.exif_transpose(Image.open(io.BytesIO(encoded))))
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # Not `resize(box=...)`, whose filter also reads pixels from outside the box.
    square = image.crop((left, top, left + side, top + side))
    square = square.resize((resolution, resolution), Image.Resampling.LANCZOS)
    pixels = np.array(square.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(resolution, resolution, channels)


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """An opaque "L" or "RGB" version of an image of any Pillow mode."""
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion would clip at 255 instead of scaling.
        grey = np.asarray(image).astype(np.float32) / 257
        return Image.fromarray(np.clip(np.round(grey), 0, 255).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("found floating-point pixels, of a range that nobody says")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def to_float(images: UInt8[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """float32 pixels in [-1, 1] from uint8 ones in [0, 255]."""
    values = images / np.float32(127.5)
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


def to_uint8(
    images: Float[np.ndarray, "*shape"] | Float[Array, "*shape"],
) -> UInt8[np.ndarray, "*shape"]:
    """uint8 pixels in [0, 255] from float ones; values outside [-1, 1] are clipped."""
    levels = np.round((np.asarray(images, np.float32) + 1) * 127.5)
    return np.clip(levels, 0, 255).astype(np.uint8)
