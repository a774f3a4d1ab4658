import io
import json
import logging
import os
import shutil
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from rtil_jax.caches import prune_images
from rtil_jax.data import decoding, identities, load_images, sources
from rtil_jax.errors import UserError


def png(level, size=(8, 8), mode="RGB"):
    file = io.BytesIO()
    Image.new(mode, size, (level,) * len(mode)).save(file, "png")
    return file.getvalue()


def make_folder(root, levels, name="images"):
    """A folder of plain images of these grey levels, named so that they sort."""
    folder = root / name
    folder.mkdir(exist_ok=True)
    for index, level in enumerate(levels):
        (folder / f"{index:03d}.png").write_bytes(png(level))
    return folder


@pytest.fixture
def load(tmp_path):
    def load(source, split="train", *, resolution=8, channels=3, **arguments):
        return load_images(
            str(source),
            split,
            resolution=resolution,
            channels=channels,
            cache_dir=str(tmp_path / "cache"),
            **arguments,
        )

    return load


@pytest.fixture
def decoded(monkeypatch):
    """A list that grows by one with every image decoded."""
    calls, decode = [], decoding.decode

    def counting(*args):
        calls.append(args)
        return decode(*args)

    monkeypatch.setattr(decoding, "decode", counting)
    return calls


@pytest.mark.parametrize("channels", [1, 3])
def test_reads_by_index_in_name_order(load, tmp_path, channels):
    levels = np.random.default_rng(0).permutation(200)
    images = load(make_folder(tmp_path, levels), channels=channels)
    assert len(images) == 200 and images.names[:2] == ("000.png", "001.png")
    assert (images.resolution, images.channels) == (8, channels)
    everything = images[np.arange(200)]
    assert everything.dtype == np.uint8 and everything.shape == (200, 8, 8, channels)
    np.testing.assert_array_equal(everything[:, 0, 0, 0], levels)
    np.testing.assert_array_equal(images[[7, 7, -1]], everything[[7, 7, 199]])
    np.testing.assert_array_equal(images[3], everything[3])
    np.testing.assert_array_equal(images[:4], everything[:4])
    np.testing.assert_array_equal(images[-3::2], everything[-3::2])
    np.testing.assert_array_equal(
        images[everything[:, 0, 0, 0] < 9], everything[levels < 9]
    )
    assert images[[]].shape == images[5:5].shape == (0, 8, 8, channels)
    for index in (200, -201, [0, 200], np.ones(3, bool), np.zeros((2, 2), int)):
        with pytest.raises(IndexError):
            images[index]
    assert repr(images) == (
        f"ImageSet(200 images of images [all: no train/ or test/], 8 x 8 x {channels})"
    )


def test_split_and_channels_have_defaults_and_the_resolution_is_asked_for(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("RTIL_JAX_DATA", str(tmp_path / "cache"))
    folder = make_folder(tmp_path, [3])
    assert load_images(str(folder), resolution=8).pixels.shape == (1, 8, 8, 3)
    with pytest.raises(UserError, match="resolution: found None, .* resolution=64"):
        load_images(str(folder))


def test_a_count_decodes_so_many_and_more_later(load, tmp_path, decoded):
    folder = make_folder(tmp_path, range(9))
    (folder / "001.png").write_bytes(b"damaged")
    assert load(folder, count=2).names == ("000.png", "002.png")
    assert len(decoded) == 3
    assert load(folder, count=3)[-1].max() == 3 and len(decoded) == 4
    images = load(folder)
    assert len(decoded) == 9 and len(images) == 8
    np.testing.assert_array_equal(images[:][:, 0, 0, 0], [0, *range(2, 9)])
    assert images.describe().endswith("test/], 1 skipped as damaged")
    assert load(folder, count=1).skipped == 0 and len(decoded) == 9


@pytest.mark.parametrize("new", ["moved", "copied", "zipped"])
def test_the_same_images_in_another_place_are_the_same_set(
    load, tmp_path, decoded, new
):
    folder = make_folder(tmp_path, range(3))
    before, there = load(folder), tmp_path / "there"
    if new == "moved":
        folder.rename(there)
    elif new == "copied":
        shutil.copytree(folder, there, copy_function=shutil.copyfile)
    else:
        there = tmp_path / "there.zip"
        with zipfile.ZipFile(there, "w") as archive:
            for path in folder.iterdir():
                archive.write(path, path.name)
    after = load(there)
    assert len(decoded) == 3 and after.fingerprint == before.fingerprint


def test_a_picture_changed_in_place_is_decoded_again(load, tmp_path, decoded):
    folder = make_folder(tmp_path, range(3))
    picture = folder / "001.png"
    load(folder)
    times = picture.stat()
    new = png(9)
    assert len(new) == times.st_size
    picture.write_bytes(new)
    os.utime(picture, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert load(folder)[1].max() == 9


def test_files_that_have_not_changed_are_not_read_again(load, tmp_path, monkeypatch):
    folder = make_folder(tmp_path, range(3))
    monkeypatch.setattr(identities, "_RECENT", 0)
    load(folder)
    monkeypatch.setattr(type(folder), "read_bytes", None)
    monkeypatch.setattr(sources.zlib, "crc32", None)
    with pytest.raises(TypeError):
        load(folder)
    assert (
        len(json.loads(next((tmp_path / "cache").glob("*/files-*")).read_text())) == 3
    )


@pytest.mark.parametrize("damage", ["cut", "gone", "index"])
def test_a_damaged_cache_is_prepared_anew(load, tmp_path, decoded, damage):
    folder = make_folder(tmp_path, range(3))
    load(folder)
    (pixels,) = (tmp_path / "cache").glob("*/pixels*")
    if damage == "cut":
        pixels.write_bytes(pixels.read_bytes()[:-1])
    elif damage == "gone":
        pixels.unlink()
    else:
        (pixels.parent / "images.json").write_text("{}")
    assert load(folder)[2].max() == 2 and len(decoded) == 6


def test_changed_pixels_of_the_cache_are_noticed(load, tmp_path):
    folder = make_folder(tmp_path, range(3))
    load(folder)
    (pixels,) = (tmp_path / "cache").glob("*/pixels*")
    pixels.write_bytes(b"\7" + pixels.read_bytes()[1:])
    images = load(folder)
    assert images[1].max() == 1
    with pytest.raises(UserError, match="damaged file .image 000.png.; delete it"):
        images[:2]


def test_what_is_cut_off_is_said(load, tmp_path):
    folder = make_folder(tmp_path, [5])
    assert load(folder).describe_cuts() == "nothing is cut off"
    for width in (10, 16):
        (folder / f"{width}.png").write_bytes(png(9, size=(width, 8)))
    said = "up to 50% (median 35%) of 2 non-square pictures is cut off"
    assert load(folder).describe_cuts() == said


def test_twelve_bits_in_sixteen_are_warned_of_and_windowed(load, tmp_path, caplog):
    folder = make_folder(tmp_path, [])
    values = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(values).save(folder / "ct.png")
    assert load(folder, channels=1)[0].max() == 16
    assert "found values from 0 to 4,095" in caplog.text
    assert "--config.data.window=(0, 4095)" in caplog.text
    caplog.clear()
    assert load(folder, channels=1, window=(0, 4095))[0].max() == 255
    assert not caplog.text


def test_other_files_are_said_once(load, tmp_path, caplog):
    folder = make_folder(tmp_path, [1])
    for name in ("notes.txt", "more.txt", "noextension"):
        (folder / name).write_text("not an image")
    load(folder), load(folder)
    said = f"{folder}: ignored 3 files (.txt 2, no extension 1)"
    assert [record.getMessage() for record in caplog.records] == [said]


def test_resizes_to_the_resolution(load, tmp_path):
    folder = make_folder(tmp_path, [5])
    (folder / "wide.png").write_bytes(png(9, size=(100, 40)))
    images = load(folder, resolution=16)
    np.testing.assert_array_equal(images[1], np.full((16, 16, 3), 9))


def test_zip_with_splits(load, tmp_path):
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for level, name in enumerate(["train/a", "train/b", "test/c"]):
            archive.writestr(f"faces/{name}.png", png(level))
    train, test = load(path), load(path, "test")
    assert train.names == ("a.png", "b.png") and test.names == ("c.png",)
    assert train[1].max() == 1 and test[0].max() == 2


def test_many_chunks_keep_the_order(load, tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "_CHUNK", 3)
    folder = make_folder(tmp_path, range(40))
    for index in range(5, 12):
        (folder / f"{index:03d}.png").write_text("not an image")
    images = load(folder)
    good = [*range(5), *range(12, 40)]
    assert images.names == tuple(f"{index:03d}.png" for index in good)
    np.testing.assert_array_equal(images[np.arange(33)][:, 0, 0, 0], good)


def test_second_call_decodes_nothing(load, tmp_path, decoded):
    folder = make_folder(tmp_path, range(3))
    first, second = load(folder), load(folder, count=2)
    assert len(decoded) == 3
    assert second.names == first.names[:2]
    with pytest.raises(IndexError):
        second[2]


def test_changed_source_or_format_is_decoded_again(load, tmp_path, decoded):
    folder = make_folder(tmp_path, range(3))
    load(folder)
    load(folder, resolution=16)
    load(folder, channels=1)
    assert len(decoded) == 9
    (folder / "003.png").write_bytes(png(77))
    assert load(folder)[3].max() == 77


def test_interrupted_preparation_leaves_nothing(load, tmp_path, monkeypatch):
    folder = make_folder(tmp_path, range(3))

    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(decoding, "decode", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load(folder)
    assert not any((tmp_path / "cache").iterdir())
    assert len(load(folder)) == 3


def test_another_process_finishing_first_wins(load, tmp_path, monkeypatch):
    folder = make_folder(tmp_path, range(3))
    load(folder)
    (ready,) = (tmp_path / "cache").iterdir()
    ready.rename(tmp_path / "other")
    decode = decoding.decode

    def decode_while_other_finishes(*args):
        if not (ready / "images.json").exists():
            shutil.copytree(tmp_path / "other", ready, dirs_exist_ok=True)
        return decode(*args)

    monkeypatch.setattr(decoding, "decode", decode_while_other_finishes)
    np.testing.assert_array_equal(load(folder)[[0, 1, 2]][:, 0, 0, 0], [0, 1, 2])
    assert list((tmp_path / "cache").iterdir()) == [ready]


def test_a_set_is_not_removed_while_it_is_made(load, tmp_path, monkeypatch):
    real_decode = decoding.decode

    def decode_while_another_prunes(*args):
        assert prune_images(tmp_path / "cache", 0) == 0
        return real_decode(*args)

    monkeypatch.setattr(decoding, "decode", decode_while_another_prunes)
    assert len(load(make_folder(tmp_path, range(3)))) == 3


def test_damaged_image_is_skipped_by_name(load, tmp_path, caplog):
    folder = make_folder(tmp_path, [10, 20, 30])
    content = (folder / "001.png").read_bytes()
    (folder / "001.png").write_bytes(content[: len(content) // 2])
    with caplog.at_level(logging.WARNING, logger="rtil_jax"):
        images = load(folder)
    assert images.names == ("000.png", "002.png") and images[1].max() == 30
    (message,) = [record.getMessage() for record in caplog.records]
    assert "001.png" in message


def test_malformed_exif_and_empty_files_in_words_of_our_own(
    load, tmp_path, caplog, recwarn
):
    folder = make_folder(tmp_path, [1])
    exif = b"Exif\0\0MM\0*\xff\xff\xff\xff"  # of which Pillow warns
    Image.new("RGB", (8, 8)).save(folder / "exif.png", exif=exif)
    (folder / "empty.png").touch()
    with caplog.at_level(logging.WARNING, logger="rtil_jax"):
        assert len(load(folder)) == 2
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.endswith("skipped empty.png (found no image in its 0 bytes)")
    assert not recwarn.list


def test_only_damaged_images(load, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.png").write_text("not an image")
    with pytest.raises(UserError, match="found no readable image among 1"):
        load(folder)
    assert not any((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(channels=2), "channels: found 2, expected 1"),
        (dict(resolution=4), "resolution: found 4, expected a power of two"),
        (dict(resolution=24), "resolution: found 24, expected a power of two"),
        (dict(count=0), "count: found 0, expected at least 1"),
        (dict(count=2.5), "count: found 2.5, expected at least 1"),
        (dict(resolution="8"), "resolution: found '8', expected a power of two"),
        (dict(split=None), "split: found None, expected a name"),
        (dict(window=(5, 5)), r"window: found \(5, 5\), expected the values of black"),
        (dict(count=4), "found 3 images, expected at least 4"),
    ],
)
def test_arguments_out_of_range(load, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        load(make_folder(tmp_path, range(3)), **arguments)


@pytest.mark.parametrize("source", [None, "", b"faces", 3])
def test_no_path(source):
    with pytest.raises(UserError, match="images: found .*, expected"):
        load_images(source, resolution=8)


def test_missing_path(load, tmp_path):
    with pytest.raises(UserError, match="nowhere: found no such file or folder"):
        load(tmp_path / "nowhere")


def test_cache_that_cannot_be_created(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot make the image cache here"):
        load_images(
            str(make_folder(tmp_path, [1])),
            "train",
            resolution=8,
            channels=3,
            cache_dir=str(tmp_path / "file" / "cache"),
        )


def test_default_cache_is_the_environments(tmp_path, monkeypatch):
    monkeypatch.setenv("RTIL_JAX_DATA", str(tmp_path / "elsewhere"))
    folder = make_folder(tmp_path, [1])
    load_images(str(folder), "train", resolution=8, channels=1)
    assert len(list((tmp_path / "elsewhere").iterdir())) == 1


def test_only_its_own_datasets_need_tfds(load, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert len(load(make_folder(tmp_path, [1]))) == 1
    with pytest.raises(UserError, match="pip install tensorflow-datasets"):
        load("tfds:mnist")
