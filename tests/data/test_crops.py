"""`crop` and `paste`: a photograph at a prior's size, and back."""

import json
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from rtil_jax.cli import crop, paste
from rtil_jax.cli.flags import parse_arguments, parser_of
from rtil_jax.data.crops import shrink_by_area, shrink_by_minimum
from rtil_jax.errors import UserError


def call(command, *words):
    command.run(parse_arguments(parser_of(command), [str(word) for word in words]))


def write(path, pixels, **options):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)
    return path


def read(path):
    return np.asarray(Image.open(path))


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (26, 34, 3))
    return write(tmp_path / "photo.png", pixels)


@pytest.fixture
def mask(tmp_path):
    seen = np.full((26, 34), 255)
    seen[9, 13] = 0  # one pixel
    return write(tmp_path / "holes.png", seen)


@pytest.mark.parametrize("side, size", [(26, 8), (24, 8), (9, 8), (8, 8)])
def test_the_small_pixel_is_the_mean_of_its_area_and_seen_if_all_of_it_is(side, size):
    pixels = np.random.default_rng(1).integers(0, 256, (side, side, 1)).astype(np.uint8)
    seen = np.random.default_rng(2).random((side, side)) < 0.9
    means, all_seen = shrink_by_area(pixels, size), shrink_by_minimum(seen, size)

    def shares(i):
        low, high = (Fraction(side * k, size) for k in (i, i + 1))
        found = {j: min(high, j + 1) - max(low, j) for j in range(side)}
        return {j: share for j, share in found.items() if share > 0}

    for i in range(size):
        for j in range(size):
            area = {
                (r, c): a * b
                for r, a in shares(i).items()
                for c, b in shares(j).items()
            }
            mean = sum(a * int(pixels[at][0]) for at, a in area.items()) / sum(
                area.values()
            )
            assert abs(means[i, j, 0] - float(mean)) <= 0.51
            assert all_seen[i, j] == all(seen[at] for at in area)


def test_a_photograph_and_its_mask_come_back_at_the_size_of_the_prior(
    photo, mask, tmp_path, capsys
):
    to = tmp_path / "crop"
    for _ in range(2):  # the same again is no other crop
        call(crop, photo, "--mask", mask, "--size", 8, "--to", to)
    assert read(to / "photo.png").shape == (8, 8, 3)
    small = read(to / "mask.png")
    assert small.shape == (8, 8) and set(np.unique(small)) == {0, 255}
    assert json.loads((to / "crop.json").read_text())["box"] == [4, 0, 26]
    assert "the square 4,0,26, 94% of it seen" in capsys.readouterr().out
    # Row 9 ends in the third small one, of 6.5 to 9.75, and reaches into the fourth.
    unseen = [[2, 2], [2, 3], [3, 2], [3, 3]]
    np.testing.assert_array_equal(np.argwhere(small == 0), unseen)


def test_what_was_recovered_replaces_unseen_pixels_alone(photo, mask, tmp_path):
    to, out = tmp_path / "crop", tmp_path / "out.png"
    call(crop, photo, "--mask", mask, "--size", 8, "--to", to, "--box=5,1,20")
    recovered = write(tmp_path / "recovered.png", np.full((8, 8, 3), (10, 200, 30)))
    call(paste, recovered, "--crop", to, "--to", out)
    expected = read(photo).copy()
    expected[9, 13] = 10, 200, 30
    np.testing.assert_array_equal(read(out), expected)


def test_a_turned_photograph_is_cut_as_it_is_seen(tmp_path):
    pixels = np.zeros((8, 16), int)
    pixels[:, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turned right: white comes to the top
    path = write(tmp_path / "turned.png", pixels, exif=exif)
    call(crop, path, "--size", 4, "--to", tmp_path / "crop", "--box", "0,4,8")
    np.testing.assert_array_equal(
        read(tmp_path / "crop/photo.png"), np.repeat([255, 255, 0, 0], 4).reshape(4, 4)
    )


def test_deep_grey_and_an_alpha_channel_do_as_well(tmp_path):
    deep = np.full((8, 8), 65535, np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    call(crop, tmp_path / "deep.png", "--size", 4, "--to", tmp_path / "a")
    np.testing.assert_array_equal(read(tmp_path / "a/photo.png"), np.full((4, 4), 255))
    assert not (tmp_path / "a/mask.png").exists()
    clear = np.full((8, 8, 4), 255)
    clear[:4, :, 3] = 0
    call(
        crop, write(tmp_path / "clear.png", clear), "--size", 4, "--to", tmp_path / "b"
    )
    expected = np.repeat([0, 0, 255, 255], 4).reshape(4, 4)
    np.testing.assert_array_equal(read(tmp_path / "b/mask.png"), expected)


@pytest.mark.parametrize(
    "words, message",
    [
        (["--box=20,0,20"], "--box: found 20,0,20, expected .* within .* 34 x 26"),
        (["--box=-1,0,20"], "--box: found -1,0,20"),
        (["--box=1,2"], "--box: found '1,2', expected LEFT,TOP,SIDE"),
        (["--size=27"], "--size: found 27 for a square of 26 x 26"),
        (["--size=0"], "--size: found 0, expected a whole number from 1"),
        (["--mask=small.png"], "small.png: found a mask of 8 x 8 .* expected 34 x 26"),
        (
            ["--mask=black.png"],
            "black.png: found a mask without white pixels",
        ),
        (["--mask=edge.png"], "edge.png: found that none of the 8 x 8 pixels"),
        (
            ["--mask=text.png"],
            "text.png: found no image in its 2 bytes, expected a pic",
        ),
        (["--mask=none.png"], "none.png: found no readable file"),
        (["--to=text.png"], "--to=text.png: cannot be written"),
    ],
)
def test_what_cannot_be_cropped_is_one_line(
    words, message, photo, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write("small.png", np.full((8, 8), 255))
    write("black.png", np.zeros((26, 34)))
    edge = np.zeros((26, 34))
    edge[:, 0] = 255
    write("edge.png", edge)
    (tmp_path / "text.png").write_text("hi")
    with pytest.raises(UserError, match=message) as error:
        call(crop, photo, "--size=8", "--to=crop", *words)
    assert "\n" not in str(error.value) and not (tmp_path / "crop").exists()


def test_what_cannot_be_pasted_is_one_line(photo, mask, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call(crop, photo, "--mask", mask, "--size=8", "--to=crop")
    call(crop, photo, "--size=8", "--to=bare")
    good = write("good.png", np.zeros((8, 8)))
    bad = write("bad.png", np.zeros((9, 8)))
    for words, message in (
        ([bad, "--crop=crop", "--to=o.png"], "bad.png: found 8 x 9 pixels, expected 8"),
        ([good, "--crop=.", "--to=o.png"], "crop.json: found no readable file"),
        ([good, "--crop=bare", "--to=o.png"], "bare: found a crop without a mask"),
        ([good, "--crop=crop", "--to=o.jpg"], "found o.jpg, expected .* in .png"),
        ([good, "--crop=crop", f"--to={photo}"], "found the photograph itself"),
    ):
        with pytest.raises(UserError, match=message):
            call(paste, *words)
    with pytest.raises(UserError, match="--to=crop: found another crop"):
        call(crop, photo, "--mask", mask, "--size=4", "--to=crop")
