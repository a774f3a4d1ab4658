import io
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core import constants

from rtil_jax.data import load_images
from rtil_jax.errors import UserError


class TinyPhotos(tfds.core.GeneratorBasedBuilder):
    """Five grey levels, as photographs of the catalogue are stored."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        image = tfds.features.Image(shape=(None, None, 3))
        features = tfds.features.FeaturesDict({"label": np.int64, "photo": image})
        return tfds.core.DatasetInfo(
            builder=self, features=features, disable_shuffling=True
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for level in range(5):
            file = io.BytesIO()
            Image.new("RGB", (10 + level, 8), (level,) * 3).save(file, "png")
            file.seek(0)
            yield level, {"label": level, "photo": file}


class TinyTable(TinyPhotos):
    """A dataset with nothing to look at."""

    def _info(self):
        features = tfds.features.FeaturesDict({"label": np.int64})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _generate_examples(self):
        yield 0, {"label": 0}


class TinyUnreachable(TinyPhotos):
    """A dataset whose archives must be fetched by hand."""

    def _generate_examples(self):
        raise AssertionError("Manual directory does not exist.\nFetch it from ...")


class TinyArrays(TinyPhotos):
    """A dataset whose pictures TFDS encodes itself, with TensorFlow."""

    def _generate_examples(self):
        yield 0, {"label": 0, "photo": np.zeros((8, 8, 3), np.uint8)}


@pytest.fixture
def load(tmp_path, monkeypatch):
    # TFDS has read its environment variable by now.
    monkeypatch.setattr(constants, "DATA_DIR", str(tmp_path / "tfds"))

    def load(name, split="train"):
        cache_dir = str(tmp_path / "cache")
        return load_images(
            f"tfds:{name}", split, resolution=8, channels=3, cache_dir=cache_dir
        )

    return load


def test_images_of_a_dataset(load, tmp_path):
    images = load("tiny_photos")
    assert (tmp_path / "tfds" / "tiny_photos").is_dir()
    assert images.names[:2] == ("0000000.png", "0000001.png")
    np.testing.assert_array_equal(images[np.arange(5)][:, 0, 0, 0], np.arange(5))
    part = load("tiny_photos", "train[1:3]")
    assert part.identities == images.identities[1:3]
    np.testing.assert_array_equal(part[:], images[1:3])
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize(
    "name, split, message",
    [
        ("no_such_dataset_here", "train", "Dataset no_such_dataset_here not found"),
        ("tiny_photos", "test", "Unknown split 'test'"),
        (
            "tiny_arrays",
            "train",
            "no package tensorflow, .* install tensorflow; or",
        ),
        ("tiny_table", "train", "found the features label, expected an image"),
        ("tiny_unreachable", "train", "could not be prepared .* does not exist"),
    ],
)
def test_what_cannot_be_had(load, name, split, message):
    with pytest.raises(UserError, match=message) as raised:
        load(name, split)
    assert "\n" not in str(raised.value)
