"""Which files of a folder or zip are taken, whoever named and packed them."""

import struct
import zipfile

import pytest
from PIL import Image

from rtil_jax.data.splits import choose_split
from rtil_jax.data.zips import zip_source
from rtil_jax.errors import UserError


def chosen(paths, split):
    return list(choose_split(paths, split, "set").paths)


@pytest.mark.parametrize(
    "train, test",
    [
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("training", "testing"),
        ("train_images", "test_images"),
        ("TrainSet", "testset"),
        ("train2017", "test2017"),
        ("train", "val"),
        ("training", "Validation"),
        ("train", "valid"),
        ("faces/train", "faces/test"),
        ("test/train", "test/test"),
        ("cats/train", "cats/test"),
        ("celeba_train", "celeba_test"),
        ("DIV2K_train_HR", "DIV2K_valid_HR"),
        ("train_64x64", "Test_64x64"),
        ("all/01 train", "all/02 test"),
    ],
)
def test_splits_in_the_usual_spellings(train, test):
    paths = [f"{train}/a.png", f"{test}/b.png", "readme.txt"]
    assert [name[-5:] for name in chosen(paths, "train")] == ["a.png"]
    assert [name[-5:] for name in chosen(paths, "test")] == ["b.png"]


@pytest.mark.parametrize("name", ["val", "valid", "validation", "VAL"])
def test_validation_images_are_a_split_and_test_without_one(name):
    paths = ["train/a.png", f"{name}/b.png"]
    for asked in ("val", "validation", "test"):
        assert chosen(paths, asked) == ["b.png"]
    says = choose_split(paths, "test", "set").says
    assert says == f"test: {name}/ because there is no test/"
    assert chosen([*paths, "test/c.png"], "test") == ["c.png"]


@pytest.mark.parametrize("only", ["train", "Training", "val"])
def test_other_splits_are_never_training_or_test_images(only):
    asked = "test" if only != "val" else "train"
    with pytest.raises(
        UserError,
        match=f"found only the folders {only}, expected one of split '{asked}'",
    ):
        chosen([f"{only}/a.png"], asked)


def test_a_folder_of_another_name_is_taken_by_that_name():
    paths = ["train/a.png", "dev/b.png", "c.png"]
    message = (
        r"folders train, expected one of split 'test'; or give .* as the split \(dev\)$"
    )
    with pytest.raises(UserError, match=message):
        chosen(paths, "test")
    assert chosen(paths, "dev") == ["b.png"]


def test_several_folders_of_a_split_are_one():
    found = choose_split(["Train/0.png", "training/0.png", "test/1.png"], "train", "s")
    assert list(found.paths) == ["Train/0.png", "training/0.png"]
    assert found.says == "train: Train/, training/"


@pytest.mark.parametrize("name", ["bullet_train", "trains", "test tube", "evaluation"])
def test_classes_are_no_splits(name):
    paths = [f"{name}/a.png", "flight_test/b.png"]
    found = choose_split(paths, "test", "set")
    assert len(found.paths) == 2 and found.says == "all: no train/ or test/"


@pytest.mark.parametrize(
    "path",
    [
        "train\\0.png",
        ".\\train\\0.png",
        "./train/0.png",
        "C:\\data\\train\\0.png",
        "\\\\server\\share\\train/0.png",
    ],
)
def test_backslashes_separate_folders(path):
    paths = [path, path.replace("train", "test").replace("0", "1")]
    junk = ["__MACOSX\\train\\._0.png", "train\\Thumbs.db", "train\\", "..\\up.png"]
    assert chosen([*paths, *junk], "train") == ["0.png"]
    assert chosen([*paths, *junk], "test") == ["1.png"]


def test_two_images_of_one_name_are_refused():
    with pytest.raises(
        UserError, match=r"two images called 0.png \(.*\), expected one"
    ):
        chosen(["train\\0.png", "train/0.png"], "train")


def test_other_files_are_counted_by_kind():
    paths = ["a.png", "B.JFIF", "c.ppm", "d.txt", "e.TXT", "readme", ".DS_Store"]
    found = choose_split(paths, "train", "set")
    assert list(found.paths) == ["B.JFIF", "a.png", "c.ppm"]
    assert found.ignored == {".txt": 2, "no extension": 1}
    with pytest.raises(UserError, match=r"only 2 files \(.txt 2\), expected im"):
        chosen(["d.txt", "e.TXT"], "train")


def make_zip(path, flags, method):
    """A zip whose entries claim these, in both of its listings of them."""
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(3):
            archive.writestr(f"train\\{number}.png", b"none of it is read")
    packed = bytearray(path.read_bytes())
    for signature, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = packed.find(signature)
        while place >= 0:
            packed[place + at : place + at + 4] = struct.pack("<HH", flags, method)
            place = packed.find(signature, place + 4)
    path.write_bytes(packed)
    return path


@pytest.mark.parametrize(
    "flags, method, found",
    [
        (1, 8, "a password on its images"),
        (1, 99, "a password on its images"),
        (0, 9, "its images packed with Deflate64"),
        (0, 98, "its images packed with PPMd"),
        (0, 77, "its images packed with method 77"),
    ],
)
def test_zips_that_python_cannot_unpack_are_one_error(tmp_path, flags, method, found):
    path = make_zip(tmp_path / "faces.zip", flags, method)
    with pytest.raises(UserError, match=f"faces.zip: found {found}.*unzip or 7z") as e:
        zip_source(path, "train")
    assert "\n" not in str(e.value)


def test_a_zip_that_is_cut_short_is_called_so(tmp_path):
    path = make_zip(tmp_path / "faces.zip", 0, 8)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="faces.zip: found a truncated or dam"):
        zip_source(path, "train")


def test_every_format_that_pillow_draws_is_an_image():
    Image.init()
    for extension, name in Image.registered_extensions().items():
        opened = name in Image.OPEN or name == "MPO"
        if opened and name in Image.SAVE and name != "EPS":
            stub = name in ("BUFR", "GRIB", "HDF5", "WMF")
            paths = ["a.png", f"b{extension}", f"c{extension.upper()}"]
            assert (len(chosen(paths, "train")) == 3) != stub, extension
