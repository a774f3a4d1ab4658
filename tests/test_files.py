"""Files are replaced whole or left alone."""

import os

import pytest

from rtil_jax.files import replacing


def test_a_file_is_replaced_once_the_block_has_ended(tmp_path):
    path = str(tmp_path / "a")
    with replacing(path) as file:
        file.write("old")
    with replacing(path, "wb") as file:
        file.write(b"new")
        with open(path) as reader:
            assert reader.read() == "old"
    with open(path) as reader:
        assert reader.read() == "new"
    assert os.listdir(tmp_path) == ["a"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = str(tmp_path / "a")
    with replacing(path) as file:
        file.write("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write("part of the new")
        raise KeyboardInterrupt
    with open(path) as reader:
        assert reader.read() == "old"
    assert os.listdir(tmp_path) == ["a"]
