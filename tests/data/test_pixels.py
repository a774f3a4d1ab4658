import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, features

from rtil_jax.data import shrink, to_float, to_uint8
from rtil_jax.data.pixels import decode, decode_image
from rtil_jax.errors import UserError


def encode(image, format="png", **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def test_pixels_of_the_right_size_are_kept():
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    encoded = encode(Image.fromarray(pixels))
    np.testing.assert_array_equal(decode_image(encoded, 16, 3), pixels)


@pytest.mark.parametrize("size", [(32, 16), (16, 32)])
def test_crop_is_central(size):
    image = Image.new("RGB", size, "red")
    left, top = (size[0] - 16) // 2, (size[1] - 16) // 2
    image.paste("blue", (left, top, left + 16, top + 16))
    expected = np.broadcast_to(np.uint8([0, 0, 255]), (8, 8, 3))
    np.testing.assert_array_equal(decode_image(encode(image), 8, 3), expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK"])
def test_every_mode_gives_the_requested_channels(mode, channels):
    format = "tiff" if mode in ("CMYK", "PA") else "png"
    image = Image.new("RGB", (8, 8), "white")
    if mode == "PA":
        image = image.convert("P")
    pixels = decode_image(encode(image.convert(mode), format), 8, channels)
    np.testing.assert_array_equal(pixels, np.full((8, 8, channels), 255))


def test_transparent_pixels_are_white():
    expected = np.full((8, 8, 3), 255)
    rgba = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    np.testing.assert_array_equal(decode_image(encode(rgba), 8, 3), expected)
    palette = Image.new("P", (8, 8), 3)
    palette.putpalette([200, 0, 0] * 4)
    encoded = encode(palette, transparency=3)
    np.testing.assert_array_equal(decode_image(encoded, 8, 3), expected)


def test_sixteen_bit_grey_is_scaled_not_clipped():
    levels = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    pixels = decode_image(encode(Image.fromarray(levels)), 8, 1)[..., 0]
    np.testing.assert_array_equal(pixels, np.round(levels / 257))


def test_exif_orientation_is_applied():
    image = Image.new("RGB", (16, 16), "black")
    image.paste("white", (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = 3  # Turned by 180 degrees.
    pixels = decode_image(encode(image, exif=exif), 16, 1)
    assert pixels[:8].max() == 0 and pixels[8:].min() == 255


def ifd(*entries, more=b""):
    """EXIF of tags, each with its type, its count and its four bytes."""
    packed = b"".join(struct.pack(">HHI", *e[:3]) + e[3] for e in entries)
    head = struct.pack(">4sIH", b"MM\0*", 8, len(entries))
    return b"Exif\0\0" + head + packed + bytes(4) + more


UPSIDE_DOWN = (0x0112, 3, 1, b"\0\3\0\0")
RESOLUTION = (0x011A, 10, 1, struct.pack(">I", 38))


@pytest.mark.parametrize("format", ["png", "webp", "jpeg"])
@pytest.mark.parametrize(
    "exif, turned",
    [
        (b"Exif\0\0\x00\x08\x00\x02\x01\x12\x00\x03", False),
        (b"Exif\0\0MM\0*\xff\xff\xff\xff", False),
        (ifd((0x0112, 3, 1, b"\0\0\0\0")), False),
        (ifd((0x0112, 3, 1, b"\xff\xff\0\0")), False),
        (ifd((0x0112, 5, 1, b"\xff\0\0\0")), False),
        (ifd(UPSIDE_DOWN), True),
        (ifd((0x0112, 2, 2, b"3\0\0\0")), True),
        (ifd((0x0112, 5, 1, struct.pack(">I", 26)), more=b"\0\0\0\3\0\0\0\1"), True),
        (ifd(UPSIDE_DOWN, RESOLUTION, more=struct.pack(">ii", -1, 0)), True),
        (ifd(UPSIDE_DOWN, (0x8769, 4, 1, b"\0\1\0\0")), True),
        (ifd((0x010F, 2, 999, b"\0\1\0\0"), UPSIDE_DOWN), True),
    ],
)
def test_a_picture_with_malformed_exif_is_used(format, exif, turned):
    if not features.check(format if format == "webp" else "jpg"):
        pytest.skip("this Pillow has no such format")
    image = Image.new("RGB", (16, 16), "black")
    image.paste("white", (0, 0, 16, 8))
    pixels = decode_image(encode(image, format, exif=exif), 16, 1)
    top, bottom = (int(half.mean()) for half in (pixels[:7], pixels[9:]))
    assert (top < 5, bottom > 250) == (turned, turned)


@pytest.mark.parametrize("compression", ["raw", "tiff_deflate"])
def test_a_tiff_with_a_malformed_resolution_is_upright(compression):
    image = Image.new("L", (16, 16))
    image.paste(255, (0, 0, 16, 8))
    tags = {274: 3, 282: 72.0, 283: 72.0, 296: 2}
    whole = encode(image, "tiff", tiffinfo=tags, compression=compression)
    assert struct.pack("<II", 72, 1) in whole
    encoded = whole.replace(struct.pack("<II", 72, 1), struct.pack("<iI", -1, 0))
    assert decode_image(encoded, 16, 1)[:8].max() == 0


@pytest.mark.parametrize("mode", [np.uint16, np.int32, np.float32])
def test_a_window_says_what_is_black_and_white(mode):
    values = np.array([[-5, 0], [2048, 4095]]).repeat(4, 0).repeat(4, 1)
    values = np.maximum(values, 0) if mode == np.uint16 else values
    encoded = encode(Image.fromarray(values.astype(mode)), "tiff")
    pixels = decode_image(encoded, 8, 1, (0, 4095))[::4, ::4, 0]
    np.testing.assert_array_equal(pixels, [[0, 0], [128, 255]])
    if mode != np.float32:
        assert decode_image(encoded, 8, 1).max() == 16


@pytest.mark.parametrize("magic, white", [(5, 4095), (6, 4095), (6, 65535), (3, 4095)])
def test_pnm_says_what_is_white_and_a_window_is_of_its_values(magic, white):
    values = np.repeat(np.arange(0, 4096, 65).reshape(8, 8, 1)[..., [0]], 3, -1)
    values = values[..., :1] if magic == 5 else values
    packed = values.astype(">u2").tobytes()
    if magic == 3:
        packed = b"# red green blue\n" + " ".join(map(str, values.ravel())).encode()
    encoded = b"P%d\n8 8\n%d\n" % (magic, white) + packed
    expected = np.round(values * (255 / white))
    plain, windowed = (decode_image(encoded, 8, values.shape[-1], w) for w in WINDOWS)
    assert np.abs(plain - expected).max() <= 1
    np.testing.assert_array_equal(windowed, np.round(values / 4095 * 255))


def deep_png(values):
    """A PNG of 16-bit colours, which Pillow cannot write."""
    height, width, _ = values.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)

    def chunk(name, data):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = {b"IHDR": header, b"IDAT": zlib.compress(lines), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts.items())


WINDOWS = (), (0, 4095)


def test_sixteen_bit_colours_have_a_window_too():
    values = np.linspace(0, 4095, 192).astype(np.uint16).reshape(8, 8, 3)
    plain, windowed = (decode(deep_png(values), 8, 3, w) for w in WINDOWS)
    assert plain.levels == windowed.levels == (0, 4095) and plain.pixels.max() == 15
    np.testing.assert_array_equal(windowed.pixels, np.round(values / 4095 * 255))


def test_value_ranges_round_trip_and_clip():
    levels = np.arange(256, dtype=np.uint8)
    values = to_float(levels)
    assert values.dtype == np.float32 and values.min() == -1 and values.max() == 1
    np.testing.assert_array_equal(to_uint8(values), levels)
    np.testing.assert_array_equal(to_uint8(np.float32([-3, 0, 3])), [0, 128, 255])
    with pytest.raises(UserError, match="found float32, expected uint8 .*127.5 - 1"):
        to_float(values)
    with pytest.raises(UserError, match="found uint8, expected floating-point pixels"):
        to_uint8(levels)


def test_shrinking_takes_means_over_squares():
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    small = shrink(images, 2)
    assert small.shape == (2, 2, 2, 3)
    np.testing.assert_allclose(
        small[1, 0, 1], images[1, :4, 4:].mean(axis=(0, 1)), rtol=1e-5
    )
    assert shrink(images, 8) is images
