import pytest

from rtil_jax.experiments.training import loop
from rtil_jax.experiments.training.loop import train
from tests.training.tiny_run import Killed, make_images, tiny_config


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(scope="session")
def finished_run(images, tmp_path_factory):
    """The directory of nine steps taken in one go; don't write to it."""
    workdir = tmp_path_factory.mktemp("runs") / "finished"
    train(tiny_config(images), str(workdir))
    return workdir


@pytest.fixture
def kill_at(monkeypatch):
    """Kills the next runs before their step number `step`."""

    def arrange(step):
        def read(config, recipe, images, at, skipped):
            if at == step:
                raise Killed
            return read_batch(config, recipe, images, at, skipped)

        read_batch = loop.read_batch
        monkeypatch.setattr(loop, "read_batch", read)
        return monkeypatch.undo

    return arrange
