import io

import numpy as np
import pytest
from PIL import Image

from rtil_jax.data import shrink, to_float, to_uint8
from rtil_jax.data.pixels import decode_image


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


def test_value_ranges_round_trip_and_clip():
    levels = np.arange(256, dtype=np.uint8)
    values = to_float(levels)
    assert values.dtype == np.float32 and values.min() == -1 and values.max() == 1
    np.testing.assert_array_equal(to_uint8(values), levels)
    np.testing.assert_array_equal(to_uint8(np.float32([-3, 0, 3])), [0, 128, 255])


def test_shrinking_takes_means_over_squares():
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    small = shrink(images, 2)
    assert small.shape == (2, 2, 2, 3)
    np.testing.assert_allclose(
        small[1, 0, 1], images[1, :4, 4:].mean(axis=(0, 1)), rtol=1e-5
    )
    assert shrink(images, 8) is images
