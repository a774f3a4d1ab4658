import zipfile

import pytest

from rtil_jax.data.sources import folder_source
from rtil_jax.data.zips import zip_source
from rtil_jax.errors import UserError


def make_folder(root, paths):
    for path in paths:
        file = root / "data" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(path.encode())
    return root / "data"


def make_zip(root, paths):
    with zipfile.ZipFile(root / "data.zip", "w") as archive:
        for path in paths:
            archive.writestr(path, path.encode())
    return root / "data.zip"


KINDS = [(make_folder, folder_source), (make_zip, zip_source)]
both_kinds = pytest.mark.parametrize("make, list_source", KINDS)


@both_kinds
@pytest.mark.parametrize(
    "paths, split, expected",
    [
        (["b.png", "a.JPG"], "train", ["a.JPG", "b.png"]),
        (["train/b.png", "train/a.png", "test/c.png"], "train", ["a.png", "b.png"]),
        (["faces/v1/train/a.png", "faces/v1/test/c.png"], "test", ["c.png"]),
        (["train/x/a.png", "train/a.png", "loose.png"], "train", ["a.png", "x/a.png"]),
        (["faces/train/a.png"], "train", ["a.png"]),
        (["val/a.png", "train/b.png"], "val", ["a.png"]),
        (["cats/a.png", "dogs/a.png"], "train", ["cats/a.png", "dogs/a.png"]),
        (["faces/a.png", "faces/b.png"], "test", ["a.png", "b.png"]),
        (["a.png", "notes.txt", ".a.png", "__MACOSX/a.png"], "train", ["a.png"]),
    ],
)
def test_split_and_names(make, list_source, tmp_path, paths, split, expected):
    source = list_source(make(tmp_path, paths), split)
    assert list(source.names) == expected
    for index, name in enumerate(expected):
        assert source.read(index).decode().endswith(name)


@both_kinds
def test_absent_split_lists_those_there_are(make, list_source, tmp_path):
    path = make(tmp_path, ["train/a.png", "val/b.png"])
    with pytest.raises(
        UserError, match="the folders train, val, expected one of split 'holdout'"
    ):
        list_source(path, "holdout")


@both_kinds
def test_absent_split_of_a_single_one(make, list_source, tmp_path):
    path = make(tmp_path, ["faces/train/a.png"])
    with pytest.raises(UserError, match="folders train, expected one of split 'test'"):
        list_source(path, "test")


@both_kinds
def test_no_images(make, list_source, tmp_path):
    path = make(tmp_path, ["readme.md"])
    with pytest.raises(
        UserError, match=r"found only 1 file .*, expected images \(\.png"
    ):
        list_source(path, "train")


def test_identity_is_that_of_the_content(tmp_path):
    folder, archive = (make(tmp_path, ["a.png", "b.png"]) for make, _ in KINDS)
    one, other = folder_source(folder, "train"), zip_source(archive, "test")
    assert one.names == other.names
    assert one.identify(0) == other.identify(0) != one.identify(1)
    (folder / "a.png").write_bytes(b"A.png")
    assert one.identify(0) != other.identify(0)


def test_links_are_followed_but_not_in_circles(tmp_path):
    folder = make_folder(tmp_path, ["train/a.png"])
    (folder / "train" / "again").symlink_to(folder)
    (folder / "train" / "broken.png").symlink_to(folder / "gone.png")
    (folder / "test").symlink_to(folder / "train")
    assert folder_source(folder, "train").names == ("a.png",)
    assert folder_source(folder, "test").names == ("a.png",)


def test_not_a_zip(tmp_path):
    path = tmp_path / "data.zip"
    path.write_text("plain text")
    with pytest.raises(UserError, match="data.zip: found a file that is not a zip"):
        zip_source(path, "train")
