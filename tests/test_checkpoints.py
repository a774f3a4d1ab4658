import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rtil_jax.checkpoints import Checkpoints, load_config, load_ema, load_weights
from rtil_jax.errors import UserError
from rtil_jax.training.state import TrainState

CONFIG = {"seed": 3, "data": {"source": "faces", "flip": True}, "blocks": [1, 2]}


def make_state(step, members=2, width=64, **more):
    """Random numbers, which do not compress: each of them is a byte of some file."""
    rng = np.random.default_rng(step)

    def params():
        kernel = jnp.asarray(rng.normal(size=(width, 256)), jnp.float32)
        return {"params": {"dense": {"kernel": kernel}, **more}}

    generator, discriminator = params(), params()
    optimizer = optax.adam(1e-3)
    return TrainState(
        step=jnp.int32(step),
        generator=generator,
        discriminator=discriminator,
        generator_optimizer=optimizer.init(generator),
        discriminator_optimizer=optimizer.init(discriminator),
        ema=params(),
        path_means=jnp.full(members, float(step)),
    )


def save(workdir, *steps, keep=2):
    with Checkpoints(str(workdir), keep) as checkpoints:
        for step in steps:
            checkpoints.save(step, make_state(step), CONFIG)


def restore(workdir, like=None):
    with Checkpoints(str(workdir), 2) as checkpoints:
        return checkpoints.restore(make_state(0) if like is None else like)


def assert_equal(tree, expected):
    assert jax.tree.structure(tree) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, tree, expected)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Checkpoints 2 and 3, of three; don't write to it."""
    workdir = tmp_path_factory.mktemp("saved")
    save(workdir, 1, 2, 3)
    return workdir


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def test_what_was_saved_is_restored(saved):
    assert_equal(restore(saved), make_state(3))


def test_the_newest_checkpoints_are_kept(saved):
    assert sorted(os.listdir(saved / "checkpoints")) == ["2", "3"]
    with Checkpoints(str(saved), 2) as checkpoints:
        assert checkpoints.latest_step() == 3


def test_a_new_directory_has_no_checkpoint(tmp_path):
    with Checkpoints(str(tmp_path), 2) as checkpoints:
        assert checkpoints.latest_step() is None


def test_the_prior_and_the_config_can_be_read_alone(copy):
    shutil.rmtree(copy / "checkpoints" / "3" / "train_state")
    assert_equal(load_ema(str(copy), make_state(0).ema), make_state(3).ema)
    assert load_config(str(copy)) == CONFIG


def test_a_saved_state_may_be_donated_at_once(tmp_path):
    state, expected = make_state(1), jax.device_get(make_state(1))
    forget = jax.jit(lambda x: jax.tree.map(jnp.zeros_like, x), donate_argnums=0)
    with Checkpoints(str(tmp_path), 1) as checkpoints:
        checkpoints.save(1, state, CONFIG)
        forget(state)
    assert_equal(restore(tmp_path), expected)


def test_weights_for_another_family(saved):
    source, like = make_state(3), make_state(0, members=5)
    state = load_weights(str(saved), like)
    networks = dict(
        generator=source.generator, discriminator=source.discriminator, ema=source.ema
    )
    assert_equal(state, like.replace(**networks))


@pytest.mark.parametrize(
    "like, problem",
    [
        (dict(width=32), r"dense\.kernel has shape \(64, 256\), expected \(32, 256\)"),
        (dict(extra=np.zeros(2, np.float32)), r"params\.extra is missing"),
        (dict(dense=np.zeros(2, np.float32)), r"params\.dense\.kernel is not expected"),
        (dict(members=3), r"path_means has shape \(2,\), expected \(3,\)"),
    ],
)
def test_a_checkpoint_of_other_names_or_shapes(saved, like, problem):
    like = make_state(0, **like)
    message = rf"checkpoints/3: does not fit the config: .*{problem}"
    with pytest.raises(UserError, match=message):
        restore(saved, like)
    if "path_means" not in problem:
        with pytest.raises(UserError, match=message):
            load_ema(str(saved), like.ema)
        with pytest.raises(UserError, match=message):
            load_weights(str(saved), like)
    assert sorted(os.listdir(saved / "checkpoints")) == ["2", "3"]


def test_many_differences_are_counted(saved):
    with pytest.raises(UserError, match=r"; .*; .* and 4 more$"):
        restore(saved, make_state(0, width=32))


@pytest.mark.parametrize(
    "load",
    [
        load_config,
        lambda workdir: load_ema(workdir, make_state(0).ema),
        lambda workdir: load_weights(workdir, make_state(0)),
    ],
)
def test_directories_without_a_checkpoint(load, tmp_path):
    with pytest.raises(UserError, match="nowhere: found no 'checkpoints' folder"):
        load(str(tmp_path / "nowhere"))
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(UserError, match="found no checkpoint, expected at least one"):
        load(str(tmp_path))


def flip_bits(checkpoint):
    for item in ("train_state", "ema"):
        files = [path for path in (checkpoint / item).rglob("*") if path.is_file()]
        largest = max(files, key=lambda path: path.stat().st_size)
        data = bytearray(largest.read_bytes())
        data[len(data) // 2] ^= 1
        largest.write_bytes(data)


def truncate(checkpoint):
    for path in checkpoint.rglob("*"):
        if path.is_file() and path.stat().st_size > 10_000:
            os.truncate(path, 5_000)


def empty(checkpoint):
    shutil.rmtree(checkpoint)
    checkpoint.mkdir()


@pytest.mark.filterwarnings("ignore:coroutine")  # Orbax, after an error
@pytest.mark.parametrize("damage", [flip_bits, truncate, empty])
def test_a_damaged_checkpoint_is_passed_over(copy, caplog, damage):
    damage(copy / "checkpoints" / "3")
    source = make_state(2)
    assert_equal(load_ema(str(copy), make_state(0).ema), source.ema)
    assert_equal(load_weights(str(copy), make_state(0)).generator, source.generator)
    assert sorted(os.listdir(copy / "checkpoints")) == ["2", "3"]
    assert_equal(restore(copy), source)
    assert "checkpoints/3: passed over a damaged checkpoint" in caplog.text
    # It is set aside, or the run could not save its step 3 again.
    assert sorted(os.listdir(copy / "checkpoints")) == ["2", "3.damaged"]
    save(copy, 3)
    assert_equal(restore(copy), make_state(3))


def test_damaged_checkpoints_only(copy):
    for step in ("2", "3"):
        empty(copy / "checkpoints" / step)
    with pytest.raises(UserError, match="found damaged checkpoints only"):
        restore(copy)
    assert sorted(os.listdir(copy / "checkpoints")) == ["2", "3"]


def test_what_a_killed_save_left_is_cleared_away(copy):
    (copy / "checkpoints" / "4.orbax-checkpoint-tmp").mkdir()
    save(copy, 4)
    assert sorted(os.listdir(copy / "checkpoints")) == ["3", "4"]


def test_checkpoints_without_checksums_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("rtil_jax.checkpoints.saving.CHECKSUMS", "other")
    save(tmp_path, 1)
    monkeypatch.undo()
    assert_equal(restore(tmp_path), make_state(1))
