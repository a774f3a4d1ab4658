import numpy as np
import pytest
from PIL import Image

from rtil_jax.experiments import report


@pytest.mark.parametrize("channels", [1, 3])
def test_image_grid_shows_whole_pixels(tmp_path, channels):
    path = str(tmp_path / "grid.png")
    levels = np.array([-1.0, 1.0], np.float32).repeat(16)
    # Black on the left, white on the right.
    images = np.broadcast_to(levels[:, None], (10, 32, 32, channels))
    report.image_grid({"truth": images, "x": images}, path, {"x": np.full(10, 20.0)})
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"))
    # Two columns of 256 pixels and gaps of 8; 8 rows, each with a line of text.
    assert pixels.shape == (40 + 8 * (256 + 40), 2 * (256 + 8) + 8)
    for left in (8, 8 + 256 + 8):
        assert (pixels[41:295, left + 1 : left + 127] == 0).all()
        assert (pixels[41:295, left + 129 : left + 255] == 255).all()
    captions = pixels[300:330] < 128
    assert captions[:, 272:].any() and not captions[:, :264].any()


@pytest.mark.parametrize("channels, mode", [(1, "L"), (3, "RGB")])
def test_sample_grid_is_pixel_exact(tmp_path, channels, mode):
    path = str(tmp_path / "samples.png")
    values = np.linspace(-1.2, 1, 2 * 3 * 8 * 4 * channels, dtype=np.float32)
    rows = values.reshape(2, 3, 8, 4, channels)
    report.sample_grid(rows, path)
    with Image.open(path) as image:
        assert image.mode == mode and image.size == (3 * 4 + 2 * 2, 2 * 8 + 2)
        pixels = np.asarray(image).reshape(18, 16, channels)
    expected = np.clip(np.round((rows[1, 2] + 1) * 127.5), 0, 255)
    np.testing.assert_array_equal(pixels[10:, 12:], expected)
    assert (pixels[8:10] == 255).all() and (pixels[:, 4:6] == 255).all()
    assert pixels[0, 0, 0] == 0


def test_a_failed_image_has_no_number_in_the_grid(tmp_path):
    images = np.zeros((1, 32, 32, 1), np.float32)
    pixels = []
    for value in (np.nan, 20.0):
        path = str(tmp_path / "grid.png")
        report.image_grid({"x": images}, path, {"x": [value]})
        with Image.open(path) as image:
            pixels.append(np.asarray(image.convert("L"))[300:])
    widths = [np.ptp(np.nonzero((p < 128).any(0))[0]) for p in pixels]
    # "n/a" is about half as wide as "20.00 dB".
    assert 0 < widths[0] < 0.6 * widths[1]
