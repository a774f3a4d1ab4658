import numpy as np
import pytest
from PIL import Image

from rtil_jax.experiments import report
from rtil_jax.experiments.member_names import member_names
from rtil_jax.families import AdditiveFamily, MultiCodeFamily


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
    report.sample_grid(["a", "b"], rows, path)
    with Image.open(path) as image:
        assert image.mode == mode and image.size == (3 * 4 + 2 * 2, 2 * (8 + 16))
        pixels = np.asarray(image).reshape(48, 16, channels)
    expected = np.clip(np.round((rows[1, 2] + 1) * 127.5), 0, 255)
    np.testing.assert_array_equal(pixels[40:, 12:], expected)
    assert (pixels[16:24, 4:6] == 255).all() and pixels[16, 0, 0] == 0
    # Each row has its name above it.
    names = pixels[:16], pixels[24:40]
    assert all((name < 128).any() for name in names) and (names[0] != names[1]).any()


def test_a_long_name_is_whole(tmp_path):
    path = str(tmp_path / "samples.png")
    rows = np.zeros((1, 1, 8, 8, 1), np.float32)
    report.sample_grid(["G^2: noise after blocks 1, 2"], rows, path)
    with Image.open(path) as image:
        pixels = np.asarray(image)
    assert 100 < pixels.shape[1] < 250
    assert (pixels[:16, -10:] < 128).any() and (pixels[16:, 8:] == 255).all()


def test_members_are_named_by_what_they_add():
    additive = AdditiveFamily((1, 2), 1.0, (0.5, 0.25, 0.25))
    assert member_names(additive) == [
        "G^0: no noise",
        "G^1: noise after block 1",
        "G^2: noise after blocks 1, 2",
    ]
    codes = MultiCodeFamily((1, 10), 2, (0.5, 0.5))
    assert member_names(codes) == ["G^0: 1 code", "G^1: 10 codes"]


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
