import sys

import numpy as np
import pytest

from rtil_jax.data import load_images
from rtil_jax.errors import UserError


@pytest.fixture
def load(tmp_path):
    def load(source="avatars", split="train", *, count=None, cache="cache"):
        return load_images(
            source,
            split,
            resolution=32,
            channels=3,
            cache_dir=str(tmp_path / cache),
            count=count,
        )

    return load


def test_drawings_depend_on_the_seed_only(load):
    few, many = load(count=4), load(count=16, cache="other")
    np.testing.assert_array_equal(few[np.arange(4)], many[np.arange(4)])
    assert len({image.tobytes() for image in many}) == 16
    assert many.names[-1] == "avatar_0000015.png"


def test_splits_are_disjoint(load):
    train, test = load(count=8), load(split="test", count=8)
    assert test.names[0] == "avatar_1000000.png"
    seen = {image.tobytes() for image in train}
    assert not seen & {image.tobytes() for image in test}


def test_the_frame_is_filled_with_colour(load):
    corners = load(count=16)[np.arange(16)][:, -1, 0]
    assert not (corners == 255).all(axis=-1).any()
    assert len({tuple(corner) for corner in corners}) > 3


def test_another_style(load):
    assert (load("avatars:moods", count=1)[0] != load(count=1)[0]).any()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(source="avatars:cubist"), "found style 'cubist'.*toon-head"),
        (dict(split="val"), "found split 'val', expected test or train"),
        (dict(count=2_000_000), "found count = 2,000,000, expected at most 1"),
    ],
)
def test_what_cannot_be_drawn(load, arguments, message):
    with pytest.raises(UserError, match=message):
        load(**arguments)


def test_missing_packages_say_what_to_install(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "dicebear", None)
    with pytest.raises(UserError, match="pip install dicebear-core "):
        load(count=1)
