"""Progressive growing from the command's side: files, resuming, refusals."""

import jax
import numpy as np
import pytest

from rtil_jax.errors import UserError
from rtil_jax.experiments.training.loop import train
from rtil_jax.inversion import load_prior
from rtil_jax.priors import prior
from tests.training.tiny_run import (
    Killed,
    assert_same_run,
    contents,
    final_state,
    read_metrics,
    tiny_config,
    tiny_pggan_config,
)


@pytest.fixture(scope="module")
def grown_run(images, tmp_path_factory):
    """The directory of eighteen steps taken in one go; don't write to it."""
    workdir = tmp_path_factory.mktemp("runs") / "grown"
    train(tiny_pggan_config(images), str(workdir))
    return workdir


def test_metrics_say_where_growing_is(grown_run):
    lines = {line["step"]: line for line in read_metrics(grown_run)}
    assert [lines[s]["resolution"] for s in (2, 6, 8, 12, 14, 18)] == [
        4,
        4,
        8,
        8,
        16,
        16,
    ]
    # The step after 7 finished ones was the second of phase two.
    assert lines[8]["fade"] == pytest.approx(1 / 3)
    assert lines[12]["fade"] == lines[18]["fade"] == 1
    assert all(np.isfinite(list(line.values())).all() for line in lines.values())


def test_a_run_killed_while_fading_in_continues_bit_for_bit(
    images, grown_run, kill_at, tmp_path
):
    # 9: the checkpoint at 8 is in the middle of a fade. 15: that at 12 is between
    # two phases.
    config = tiny_pggan_config(images)
    growing = "found a network that is still growing at step 8, expected at least 15"
    for step in (9, 15):
        revive = kill_at(step)
        with pytest.raises(Killed):
            train(config, str(tmp_path / "run"))
        revive()
        if step == 9:
            with pytest.raises(UserError, match=growing):
                load_prior(str(tmp_path / "run"))
    train(config, str(tmp_path / "run"))
    assert_same_run(config, tmp_path / "run", grown_run)


def test_the_last_phase_can_be_continued_but_not_stretched(images, grown_run, tmp_path):
    before = contents(grown_run)
    longer = tiny_pggan_config(images, training__steps=21)
    with pytest.raises(
        UserError, match=r"config\.phases\.steps = 6, expected 7; choose .*=6"
    ):
        train(longer, str(grown_run))
    assert contents(grown_run) == before
    # With the phases that the run began with, it goes on at full resolution.
    short = tiny_pggan_config(images, training__steps=16, phases__steps=6)
    train(short, str(tmp_path))
    train(tiny_pggan_config(images, phases__steps=6), str(tmp_path))
    assert_same_run(tiny_pggan_config(images), tmp_path, grown_run)


def test_inversion_finds_the_full_generator(images, grown_run):
    prior = load_prior(str(grown_run))
    assert prior.image_shape == (16, 16, 3)
    ema = final_state(tiny_pggan_config(images), grown_run).ema
    jax.tree.map(np.testing.assert_array_equal, prior.variables, ema)


def test_vanilla_training_can_start_from_rtil(images, grown_run, tmp_path):
    fields = dict(family__codes=(1,), growing="none", training__steps=1)
    config = tiny_pggan_config(images, init_from=str(grown_run), **fields)
    train(config, str(tmp_path))
    source = final_state(tiny_pggan_config(images), grown_run).generator["params"]
    found = final_state(config, tmp_path).generator["params"]
    # One step of Adam moves no weight by more than its rate.
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(source), strict=True):
        np.testing.assert_allclose(a, b, atol=1.01e-3)


def test_training_at_full_resolution_from_the_start(images, tmp_path):
    config = tiny_pggan_config(images, growing="none", training__steps=2)
    train(config, str(tmp_path))
    (line,) = read_metrics(tmp_path)
    assert (line["resolution"], line["fade"]) == (16, 1)


def test_a_prior_of_another_architecture(images, grown_run, finished_run, tmp_path):
    cases = [
        (tiny_config(images, init_from=str(grown_run)), "pggan", "stylegan2"),
        (tiny_pggan_config(images, init_from=str(finished_run)), "stylegan2", "pggan"),
    ]
    for config, found, expected in cases:
        message = (
            rf"config\.init_from: found a {found} prior in .*, expected {expected}"
        )
        with pytest.raises(UserError, match=message):
            train(config, str(tmp_path))
        assert not (tmp_path / "config.json").exists()
    with pytest.raises(UserError, match=r"a run with config\.architecture = 'styleg"):
        train(tiny_pggan_config(images), str(finished_run))


def test_a_config_that_lies_about_its_architecture(grown_run, monkeypatch):
    """Weights and config of different networks: one line that names what differs."""
    load_ema = prior.load_ema

    def loading(**changes):
        def lying(workdir, shapes_of):
            return load_ema(
                workdir, lambda config, step: shapes_of(config | changes, step)
            )

        monkeypatch.setattr(prior, "load_ema", lying)
        with pytest.raises(UserError) as error:
            load_prior(str(grown_run))
        assert "\n" not in str(error.value)
        return str(error.value)

    network = {"max_channels": 8, "latent_dim": 16, "channel_base": 16_384}
    styled = network | {"mapping_layers": 2, "style_mixing": 0.9}
    message = loading(architecture="stylegan2", generator=styled)
    assert "checkpoints/18: does not fit the config: params.blocks_0.conv_0" in message
    assert message.endswith("(the config says stylegan2 of 16 pixels)")
    message = loading(generator=styled)
    assert "config.generator: found" in message and "mapping_layers" in message
    message = loading(architecture="biggan")
    assert message.startswith("config.architecture: found 'biggan', expected one of")
