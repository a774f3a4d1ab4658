"""Odd and hostile input: a message or a result, never a crash, a write or a program.

Malicious pickles are tested with the readers of `perceptual`, `dcgan_faces` and
`convert`.
"""

import io
import os
import zipfile

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from rtil_jax import metrics
from rtil_jax.data import load_images, sources
from rtil_jax.data.pixels import decode_image
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.results import file_stem
from rtil_jax.operators import OPERATORS, sample_operator

exhaustive = settings(deadline=None, derandomize=True, max_examples=40)
few = settings(deadline=None, derandomize=True, max_examples=3)


def encoded(image, format="png", **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


PICTURE = encoded(Image.new("RGB", (9, 5), "teal"))


def load(source, tmp_path):
    cache = str(tmp_path / "c")
    return load_images(str(source), "test", resolution=8, channels=3, cache_dir=cache)


# Pictures


@exhaustive
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"]),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 9),
)
def test_a_picture_of_any_shape_and_mode_has_its_square_of_pixels(
    size, mode, channels, seed
):
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    image = image.convert("L").convert(mode) if mode == "I;16" else image.convert(mode)
    found = decode_image(
        encoded(image, "tiff" if mode[0] in "CY" else "png"), 8, channels
    )
    assert found.shape == (8, 8, channels) and found.dtype == np.uint8


@exhaustive
@given(cut=st.floats(0, 0.98), format=st.sampled_from(["jpeg", "png", "gif", "webp"]))
def test_a_picture_cut_short_is_refused(cut, format):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    whole = encoded(Image.fromarray(noise), format)
    with pytest.raises(Exception, match="."):
        decode_image(whole[: int(cut * len(whole))], 8, 3)


@exhaustive
@given(st.binary(max_size=300))
def test_bytes_that_are_no_picture_are_refused(data):
    with pytest.raises(Exception, match="."):
        decode_image(data, 8, 3)


def test_an_animation_is_its_first_picture():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "gif", save_all=True, append_images=frames[1:])
    assert (decode_image(data, 8, 3) == [255, 0, 0]).all()


def test_a_picture_of_20000_pixels():
    assert (decode_image(encoded(Image.new("L", (20_000, 9), 7)), 8, 1) == 7).all()


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_floating_point_pixels_have_no_range(value):
    image = Image.fromarray(np.full((8, 8), value, np.float32))
    with pytest.raises(ValueError, match="floating-point pixels"):
        decode_image(encoded(image, "tiff"), 8, 1)


def test_more_pixels_than_memory():
    picture = encoded(Image.new("1", (20_000, 20_000)))
    with pytest.raises(Image.DecompressionBombError):
        decode_image(picture, 8, 1)


# Folders and archives


def write_zip(path, **entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def test_names_that_climb_out_of_an_archive_are_left_out(tmp_path):
    names = ["../up.png", "a/../../b.png", "..\\c.png", "good.png"]
    source = write_zip(tmp_path / "s.zip", **dict.fromkeys(names, PICTURE))
    assert load(source, tmp_path / "cache").names == ("good.png",)
    assert sorted(os.listdir(tmp_path)) == ["cache", "s.zip"]


@given(st.text(max_size=300))
def test_a_picture_is_in_its_folder_whatever_its_name(name):
    row = {"problem": "p", "ratio": 0.5, "prior": "a", "method": "m", "select": "s"}
    stem = file_stem({**row, "image": name}, 0)
    assert os.path.basename(stem) == stem and len(stem.encode()) < 200


def test_an_entry_that_unpacks_to_too_much_is_left_out(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(sources, "LARGEST", 1000)
    source = write_zip(
        tmp_path / "s.zip", **{"bomb.png": bytes(100_000), "good.png": PICTURE}
    )
    assert os.path.getsize(source) < 1000
    assert load(source, tmp_path).names == ("good.png",)
    assert "bomb.png (found 100,000 bytes, expected at most 1,000)" in caplog.text


def test_an_entry_that_lies_about_its_size_is_left_out(tmp_path, caplog):
    source = write_zip(tmp_path / "s.zip", **{"a.png": bytes(9999), "b.png": PICTURE})
    data = source.read_bytes()
    source.write_bytes(data.replace((9999).to_bytes(4, "little"), bytes([9, 0, 0, 0])))
    assert load(source, tmp_path).names == ("b.png",)
    assert "skipped a.png" in caplog.text


def test_links_to_themselves_and_to_nothing(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "good.png").write_bytes(PICTURE)
    for name, target in {"self": "self", "self.png": "self.png", "up": "."}.items():
        (folder / name).symlink_to(target)
    (folder / "nothing.png").symlink_to("nowhere")
    assert load(folder, tmp_path).names == ("good.png",)


def test_names_of_any_letters_bytes_and_length(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    names = ["ü̈ 顔 🙂.png", "a\nb.png", "'\"<&>.png", "y" * 251 + ".png"]
    for name in [*map(os.fsencode, names), b"\xff\xfe.png"]:
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(PICTURE)
    images = load(folder, tmp_path)
    assert len(images) == 5 and set(names) < set(images.names)
    row = {"problem": "compressed_sensing", "ratio": 0.015625, "prior": "vanilla"}
    row |= {"method": "mganprior", "select": "measurement"}
    for index, name in enumerate(images.names):
        name.encode()
        stem = file_stem({**row, "image": name}, index)
        (tmp_path / f"{stem}.png").write_bytes(b"")


# Operators and metrics


@few
@given(
    shape=st.tuples(st.integers(2, 9), st.integers(2, 9), st.sampled_from([1, 3])),
    ratio=st.floats(0.05, 1),
    seed=st.integers(0, 99),
)
@pytest.mark.parametrize("problem", ["compressed_sensing", "inpainting", "fourier"])
def test_adjoints_at_any_shape_and_ratio(problem, shape, ratio, seed):
    x = jax.random.normal(jax.random.key(seed), shape)
    operator = sample_operator(problem, jax.random.key(seed), shape, ratio)
    y = operator(x)
    z = jax.random.normal(jax.random.key(seed + 100), y.shape, y.dtype)
    forward, back = np.vdot(z, y), np.vdot(operator.adjoint(z), x)
    scale = np.linalg.norm(z) * max(np.linalg.norm(y), 1e-3)
    assert abs(forward - back) < 1e-5 * scale


@pytest.mark.parametrize("problem", OPERATORS)
@pytest.mark.parametrize("ratio", [-1.0, 0.0, 1.5, np.nan, np.inf])
def test_ratios_that_cannot_be_are_one_line(problem, ratio):
    with pytest.raises(UserError, match="ratio") as error:
        sample_operator(problem, jax.random.key(0), (8, 8, 3), ratio)
    assert "\n" not in str(error.value)


pixels = arrays(np.float32, (2, 12, 11, 3), elements=st.floats(0, 1, width=32))


@few
@given(pixels, pixels)
def test_metrics_are_symmetric_and_bounded(x, y):
    np.testing.assert_allclose(metrics.psnr(x, y), metrics.psnr(y, x), rtol=1e-5)
    found, mirrored = metrics.ssim(x, y), metrics.ssim(y, x)
    np.testing.assert_allclose(found, mirrored, atol=1e-4)
    assert (np.abs(found) <= 1 + 1e-3).all()
    assert np.isinf(metrics.psnr(x, x)).all()
    np.testing.assert_allclose(metrics.ssim(x, x), 1, atol=1e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_one_bad_image_spoils_its_own_numbers_alone(bad):
    x = np.full((2, 12, 12, 3), 0.5, np.float32)
    y = x + 0.1
    x[0, 3, 4] = bad
    assert not np.isfinite(metrics.psnr(x, y)[0]) and np.isfinite(metrics.psnr(x, y)[1])
    assert np.isnan(metrics.ssim(x, y)[0]) and np.isfinite(metrics.ssim(x, y)[1])


@exhaustive
@given(st.lists(st.floats(width=32), max_size=5))
def test_intervals_of_anything_are_a_number_or_nan(values):
    mean, half = metrics.confidence_interval(values)
    assert half >= 0 or np.isnan(half)
    assert len(values) > 1 or np.isnan(half)
