"""`config.log.tensorboard`: what TensorBoard is given, and what if it is not there."""

import inspect
import sys
from types import SimpleNamespace

import jax.numpy as jnp
import pytest
from PIL import Image

from configs.quickstart import get_config
from rtil_jax.errors import UserError
from rtil_jax.experiments.training import loop
from rtil_jax.experiments.training.tensorboard import open_board
from rtil_jax.families import AdditiveFamily

LINE = {"step": 4, "d_loss": 0.5, "images_per_second": 8.0}


def events(folder):
    """(step, tag) -> value of every event in the files of `folder`."""
    from tensorboardX.proto.event_pb2 import Event

    found, purged = {}, []
    for path in sorted(folder.iterdir()):
        data, at = path.read_bytes(), 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 8], "little")
            event = Event.FromString(data[at + 12 : at + 12 + size])
            at += 16 + size
            if event.HasField("session_log"):
                purged.append(event.step)
            for value in event.summary.value:
                kept = value.image if value.HasField("image") else value.simple_value
                found[event.step, value.tag] = kept
    return found, purged


def test_scalars_and_samples_are_written(tmp_path):
    pytest.importorskip("tensorboardX")
    (tmp_path / "samples").mkdir()
    recipe = SimpleNamespace(
        family=AdditiveFamily((1,), 1.0, (0.5, 0.5)),
        sample=lambda ema, step, columns: jnp.zeros((2, columns, 8, 8, 3)),
    )
    config = SimpleNamespace(sample=SimpleNamespace(columns=20))
    state = SimpleNamespace(step=4, ema={})
    with open_board(str(tmp_path), 2, True) as board:
        board.scalars(4, LINE)
        save = inspect.unwrap(loop.save_samples)  # without the checks of types
        save(config, recipe, state, str(tmp_path), board)
    found, purged = events(tmp_path / "tensorboard")
    assert found[4, "d_loss"] == 0.5 and found[4, "images_per_second"] == 8
    assert (4, "step") not in found and purged == [3]
    with Image.open(tmp_path / "samples" / "0000004.png") as picture:
        size = picture.size
    assert (found[4, "samples"].width, found[4, "samples"].height) == size


def test_nothing_is_written_unasked(tmp_path):
    with open_board(str(tmp_path), 0, False) as board:
        board.scalars(4, LINE)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_writer_is_told_before_anything_is_done(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    config = get_config("tiny")
    config.log.tensorboard = True
    with pytest.raises(UserError, match="config.log.tensorboard: .*pip install tensor"):
        loop.train(config, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
