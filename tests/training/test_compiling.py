"""Asked to stop while a training step is compiled, a run loses nothing."""

import signal

import pytest

from rtil_jax.experiments.compiling import Abandoned
from rtil_jax.experiments.training import loop
from rtil_jax.experiments.training.loop import train
from tests.training.tiny_run import saved_steps, tiny_config


@pytest.fixture
def stop_at(monkeypatch):
    """A step whose compilation never ends; SIGTERM comes meanwhile."""

    def arrange(at):
        compile_step = loop.compile_step

        def never(recipe, state, key, step, stopping):
            if step == at:
                signal.raise_signal(signal.SIGTERM)
                raise Abandoned
            compile_step(recipe, state, key, step, stopping)

        monkeypatch.setattr(loop, "compile_step", never)

    return arrange


def test_before_the_first_step_there_is_nothing_to_save(
    images, stop_at, tmp_path, capsys
):
    stop_at(0)
    train(tiny_config(images), str(tmp_path))
    assert capsys.readouterr().out.splitlines()[-1] == (
        "stopped by SIGTERM before the first step; the same command starts anew"
    )
    assert saved_steps(tmp_path) == []


def test_when_a_network_grows_its_last_step_is_saved(
    images, stop_at, tmp_path, monkeypatch, capsys
):
    config = tiny_config(images)
    recipe = loop.build_recipe(loop.resolved(config, 1))
    monkeypatch.setattr(type(recipe), "first_steps", lambda self: (0, 3))
    stop_at(3)
    train(config, str(tmp_path))
    assert capsys.readouterr().out.splitlines()[-1] == (
        "stopped by SIGTERM after step 3, which is saved; the same command continues"
    )
    assert saved_steps(tmp_path) == [3]
