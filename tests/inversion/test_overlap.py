"""Testing a prior on its training images is warned of; results stay of one set."""

import json

import numpy as np
import pytest
from ml_collections import ConfigDict

from rtil_jax import data
from rtil_jax.errors import UserError
from rtil_jax.experiments import report
from rtil_jax.experiments.inversion import overlap
from rtil_jax.experiments.inversion.inversion_config import inversion_config
from rtil_jax.experiments.inversion.inversion_run import parse_inversion
from rtil_jax.experiments.inversion.inversion_workdir import check_images, record_images
from tests.experiments.report.directory import row, write_results


def images_of(*names, source="faces [all]"):
    pixels = np.zeros((len(names), 8, 8, 3), np.uint8)
    identities = tuple(f"content of {name}" for name in names)
    return data.ImageSet(names, pixels, source, identities, cuts=(0.25,) * len(names))


def seen(prior, images, source="faces", split="test"):
    config = inversion_config("csgm")
    config.priors.rtil = str(prior)
    config.images.source, config.images.split = str(source), split
    return overlap.seen_in_training(parse_inversion(config), images)


def test_training_images_are_warned_of_by_content(tmp_path):
    trained = images_of("a.png", "b.png", "c.png", source="old/place [all]")
    data.write_record(data.record_of(trained), str(tmp_path))
    (text,) = seen(tmp_path, images_of("c.png", "d.png")).values()
    assert text.startswith("1 of the 2 images to recover are among those that config.")
    assert "config.priors.rtil was trained on (3 images of old/place [all])" in text
    assert not seen(tmp_path, images_of("d.png", "e.png"))


@pytest.mark.parametrize(
    "trained, source, split, warned",
    [
        ("avatars", "avatars", "test", False),
        ("avatars", "avatars", "train", True),
        ("avatars:moods", "avatars", "train", False),
        ("faces.zip", "elsewhere/faces.zip", "test", False),
        ("faces.zip", "elsewhere/faces.zip", "train", True),
        ("faces.zip", "others.zip", "train", False),
    ],
)
def test_priors_without_a_record_are_compared_by_name(
    tmp_path, monkeypatch, trained, source, split, warned
):
    config = ConfigDict({"data": {"source": trained, "split": "train"}})
    monkeypatch.setattr(overlap, "load_training_config", lambda _: config)
    assert bool(seen(tmp_path, images_of("a.png"), source, split)) == warned


def test_one_folder_without_splits_is_noticed_without_a_record(tmp_path, monkeypatch):
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    fields = {"source": str(tmp_path), "split": "train"}
    config = ConfigDict({"data": fields, "resolution": 8})
    monkeypatch.setattr(overlap, "load_training_config", lambda _: config)
    same = images_of("a.png", source=data.list_images(str(tmp_path), "test", 8).says)
    assert seen(tmp_path, same, tmp_path)
    assert not seen(tmp_path, images_of("a.png"), tmp_path)


def test_results_are_of_the_same_images_wherever_those_are(tmp_path):
    few, workdir = images_of("a.png", "b.png"), str(tmp_path)
    record_images(few, workdir, {"rtil": "seen in training"})
    check_images(images_of("a.png", source="moved [all]"), workdir)
    more = images_of("a.png", "b.png", "c.png")
    check_images(more, workdir)
    record_images(more, workdir, {})
    record_images(few, workdir, {})
    record = data.read_record(workdir)
    assert len(record["names"]) == 3 and record["warnings"] == {
        "rtil": "seen in training"
    }
    message = r"found 2 images of faces \[all\]: 1 added \(a2.png\), 2 gone \(such as b"
    with pytest.raises(UserError, match=message):
        check_images(images_of("a.png", "a2.png"), workdir)


def test_the_report_names_the_images_and_the_warnings(tmp_path):
    write_results(tmp_path, [row("a", "rtil", 20.0)])
    record_images(images_of("a.png"), str(tmp_path), {"rtil": "1 of the 1 images seen"})
    for path in (report.write_summary(str(tmp_path)), report.write_page(str(tmp_path))):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        assert "1 image of faces [all], up to 25%" in text
        assert "Warning" in text and "1 of the 1 images seen" in text


def test_a_damaged_record_is_one_line(tmp_path):
    (tmp_path / data.RECORD).write_text(json.dumps({"names": []}))
    with pytest.raises(UserError, match="images.json: found wrong fields"):
        check_images(images_of("a.png"), str(tmp_path))
