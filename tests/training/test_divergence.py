"""A step that is not finite ends a run, or is gone around; it is never saved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax import data
from rtil_jax.checkpoints import Checkpoints
from rtil_jax.errors import UserError
from rtil_jax.experiments.training import loop
from rtil_jax.experiments.training.divergence import Diverged, newest_values
from rtil_jax.experiments.training.loop import train
from rtil_jax.training.state import Progress, TrainState
from rtil_jax.training.stylegan2 import StyleGAN2Recipe
from tests.training.tiny_run import (
    Killed,
    final_state,
    read_metrics,
    saved_steps,
    tiny_config,
    tiny_run,
)

GOOD = {"d_loss": 1.0, "g_loss": 1.0}


@pytest.fixture
def training(monkeypatch):
    """Makes the recipe's step that of a test, on networks of one number."""

    def fresh_state(recipe, key):
        one = {"params": jnp.ones(1)}
        return TrainState(jnp.int32(0), one, one, (), (), one, jnp.zeros(2))

    def use(step_fn):
        def train_step(recipe, state, batch, key, step):
            state, metrics = step_fn(state, batch, key, step)
            return state.replace(step=state.step + 1), metrics

        monkeypatch.setattr(StyleGAN2Recipe, "fresh_state", fresh_state)
        monkeypatch.setattr(StyleGAN2Recipe, "train_step", train_step)
        monkeypatch.setattr(StyleGAN2Recipe, "programs", lambda *_: {})
        monkeypatch.setattr(StyleGAN2Recipe, "measure", lambda *_: {})
        monkeypatch.setattr(
            StyleGAN2Recipe, "sample", lambda *_: jnp.zeros((2, 2, 8, 8, 3))
        )

    return use


def times(tree, factor):
    return jax.tree.map(lambda x: x * factor, tree)


@pytest.mark.parametrize("what", ["metrics", "weights"])
def test_divergence_stops_at_the_last_checkpoint(images, tmp_path, training, what):
    def step_fn(state, batch, key, step):
        bad = jnp.nan if step >= 6 else 1.0
        if what == "weights":
            return state.replace(ema=times(state.ema, bad)), GOOD
        return state, GOOD | {"g_loss": bad}

    training(step_fn)
    config = tiny_config(images)
    # Metrics are read after step 8; the first that was not finite is that of step 7.
    expected = {
        "metrics": "diverged at step 7: g_loss became nan; likely cause: the generator",
        "weights": "diverged at step 8: weights became nan; likely cause: an update",
    }
    with pytest.raises(UserError, match=expected[what]) as error:
        train(config, str(tmp_path))
    assert "learning_rate = 0.002); the last good checkpoint is 5; " in str(error.value)
    assert "with config.checkpoint.rollbacks above 0 it goes back" in str(error.value)
    assert int(final_state(config, tmp_path).step) == 5
    assert [line["step"] for line in read_metrics(tmp_path)] == [2, 4, 5, 6]


def test_divergence_before_the_first_checkpoint(images, tmp_path, training):
    training(lambda state, *_: (state, GOOD | {"r1": jnp.inf}))
    message = "step 1: r1 became inf; .*r1_weight .*; it has no earlier checkpoint"
    with pytest.raises(UserError, match=message):
        train(tiny_config(images), str(tmp_path))
    assert saved_steps(tmp_path) == []


def test_the_cause_is_the_first_in_the_order_of_computation(images):
    config, nan = tiny_run(images), jnp.nan
    bad = {"d_gradient": nan, "g_loss": nan, "path_length": nan, "r1": nan}
    steps = [GOOD, GOOD | bad, {"d_loss": jnp.inf}]
    with pytest.raises(Diverged, match="step 12: d_gradient became nan") as error:
        newest_values(steps, 10, config)
    assert error.value.step == 12
    values = newest_values([GOOD | {"r1": 2.0}, GOOD | {"d_loss": 3.0}], 0, config)
    assert values == {"d_loss": 3.0, "g_loss": 1.0, "r1": 2.0}


@pytest.fixture
def offended(monkeypatch, training):
    """Training that sums, in its path means, how many images were read before a step.

    It diverges at the images after the first 24, which belong to step 7. Returns
    (number of finished steps, images before, key) of each step that was taken.
    """
    taken = []

    def images_that_say_where_they_are(images, *, start, batch_size, **_):
        return np.full((batch_size, 8, 8, 3), start, np.float32)

    def step_fn(state, batch, key, step):
        start = float(batch[0, 0, 0, 0])
        taken.append((step, start, tuple(jax.random.key_data(key).tolist())))
        means = state.path_means + start
        bad = jnp.nan if start == 24 else 1.0
        return state.replace(path_means=means), GOOD | {"d_loss": bad}

    monkeypatch.setattr(data, "training_batch", images_that_say_where_they_are)
    training(step_fn)
    return taken


def test_going_back_skips_the_images_since_the_last_checkpoint(
    images, tmp_path, offended, caplog
):
    config = tiny_config(images, checkpoint__rollbacks=1)
    train(config, str(tmp_path))
    steps, starts, keys = zip(*offended, strict=True)
    # Metrics were read after 8 steps; that of step 7 diverged, and the checkpoint is 5.
    assert steps == (0, 1, 2, 3, 4, 5, 6, 7, 5, 6, 7, 8)
    assert starts == (0, 4, 8, 12, 16, 20, 24, 28, 28, 32, 36, 40)
    assert len(set(keys[:8])) == len(set(keys[8:])) == 1 and keys[0] != keys[8]
    means = final_state(config, tmp_path).path_means
    assert means.tolist() == [0 + 4 + 8 + 12 + 16 + 28 + 32 + 36 + 40] * 2
    assert [line["step"] for line in read_metrics(tmp_path)] == [2, 4, 5, 6, 8, 9]
    assert "diverged at step 7: d_loss became nan" in caplog.text
    message = "going back to step 5 and skipping 8 images (1 of at most 1 times)"
    assert message in caplog.text
    with Checkpoints(str(tmp_path), 1) as checkpoints:
        assert Progress(**checkpoints.progress()) == Progress(GOOD, 8, 1)


def test_a_run_killed_after_going_back_goes_back_again(
    images, tmp_path, offended, monkeypatch
):
    def dying(config, recipe, images, step, skipped):
        if step == 8:  # which comes after going back
            raise Killed
        return read_batch(config, recipe, images, step, skipped)

    config = tiny_config(images, checkpoint__rollbacks=1)
    train(config, str(tmp_path / "peace"))
    read_batch = loop.read_batch
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(loop, "read_batch", dying)
        train(config, str(tmp_path / "killed"))
    assert saved_steps(tmp_path / "killed") == [5]
    train(config, str(tmp_path / "killed"))
    found, expected = (final_state(config, tmp_path / n) for n in ("killed", "peace"))
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert read_metrics(tmp_path / "killed") == read_metrics(tmp_path / "peace")


def test_going_back_has_an_end(images, tmp_path, training, caplog):
    def step_fn(state, batch, key, step):
        return state, GOOD | {"d_loss": jnp.nan if step == 6 else 1.0}

    training(step_fn)
    config = tiny_config(images, checkpoint__rollbacks=2)
    message = "at step 7: d_loss .* the last good checkpoint is 5; .*rollbacks above 2"
    with pytest.raises(UserError, match=message):
        train(config, str(tmp_path))
    assert caplog.text.count("going back to step 5") == 2
    assert saved_steps(tmp_path) == [5]
    # With more leave it tries again, and still ends.
    with pytest.raises(UserError, match="rollbacks above 3"):
        train(tiny_config(images, checkpoint__rollbacks=3), str(tmp_path))
