import errno
import os
import resource
import shutil
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from orbax.checkpoint import v1 as ocp

from rtil_jax.checkpoints import (
    Checkpoints,
    checksums,
    load_config,
    load_ema,
    load_step,
    load_weights,
)
from rtil_jax.errors import UserError
from rtil_jax.training.state import TrainState

ALL = ("train_state", "ema", "config", "data")
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


def save(workdir, *steps, keep=2, keep_every=0):
    with Checkpoints(str(workdir), keep, keep_every) as checkpoints:
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


def test_some_checkpoints_are_kept_for_good(tmp_path):
    save(tmp_path, 1, 2, 3, 4, 5, 6, 7, keep=2, keep_every=3)
    assert sorted(os.listdir(tmp_path / "checkpoints")) == ["3", "6", "7"]


def test_what_else_a_run_remembers(tmp_path):
    metrics = {"r1": 0.1, "d_loss": float(np.float32(1) / 3)}
    with Checkpoints(str(tmp_path), 2) as checkpoints:
        assert checkpoints.progress() == {}
        checkpoints.save(1, make_state(1), CONFIG)
        assert checkpoints.progress() == {}
        checkpoints.save(2, make_state(2), CONFIG, metrics=metrics, rollbacks=2)
        assert checkpoints.progress() == {"metrics": metrics, "rollbacks": 2}


def ema_of(workdir, shapes):
    return load_ema(workdir, lambda config, step: shapes)[1]


def test_a_new_directory_has_no_checkpoint(tmp_path):
    with Checkpoints(str(tmp_path), 2) as checkpoints:
        assert checkpoints.latest_step() is None


def test_the_prior_and_the_config_can_be_read_alone(copy):
    shutil.rmtree(copy / "checkpoints" / "3" / "train_state")
    assert_equal(ema_of(str(copy), make_state(0).ema), make_state(3).ema)
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
            ema_of(str(saved), like.ema)
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
        lambda workdir: ema_of(workdir, make_state(0).ema),
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


def delete_a_part(checkpoint):
    (checkpoint / "ema" / "manifest.ocdbt").unlink()


def flip_bits_of_an_unsealed_one(checkpoint):
    """Killed between the last byte and the files' checksums: the arrays' remain."""
    (checkpoint / checksums.FILES).unlink()
    flip_bits(checkpoint)


@pytest.mark.filterwarnings("ignore:coroutine")  # Orbax, after an error
@pytest.mark.parametrize(
    "damage", [flip_bits, truncate, empty, delete_a_part, flip_bits_of_an_unsealed_one]
)
def test_a_damaged_checkpoint_is_passed_over(copy, caplog, damage):
    damage(copy / "checkpoints" / "3")
    source = make_state(2)
    assert_equal(ema_of(str(copy), make_state(0).ema), source.ema)
    assert_equal(load_weights(str(copy), make_state(0)).generator, source.generator)
    assert sorted(os.listdir(copy / "checkpoints")) == ["2", "3"]
    assert_equal(restore(copy), source)
    assert load_step(str(copy)) == 2
    (message,) = (record.getMessage() for record in caplog.records)
    assert "checkpoints/3: skipped a damaged checkpoint (" in message
    assert message.endswith(f"used the one before it, {copy}/checkpoints/2")
    # It is set aside, or the run could not save its step 3 again.
    assert sorted(os.listdir(copy / "checkpoints")) == ["2", "3.damaged"]
    save(copy, 3)
    assert_equal(restore(copy), make_state(3))


def test_one_flipped_bit_of_any_file(copy):
    checkpoint = copy / "checkpoints" / "3"
    files = [path for path in checkpoint.rglob("*") if path.is_file()]
    assert len(files) > 20 and checksums.damage(str(checkpoint), ALL) is None
    for path in files:
        data = bytearray(path.read_bytes())
        if not data:
            continue
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        assert checksums.damage(str(checkpoint), ALL) is not None, path
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    assert checksums.damage(str(checkpoint), ALL) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", "{"])
def test_checksums_that_are_not_as_they_were_saved(copy, content):
    checkpoint = copy / "checkpoints" / "3"
    (checkpoint / checksums.FILES).write_text(content)
    assert checksums.damage(str(checkpoint), ALL).startswith(checksums.FILES)


def garble_metadata(checkpoint):
    (checkpoint / "ema" / "_METADATA").write_text('{"tree_metadata": ')


def empty_metadata(checkpoint):
    (checkpoint / "config" / "_METADATA").write_text("{}")


def list_for_metadata(checkpoint):
    (checkpoint / "train_state" / "_METADATA").write_text("[]")


def delete_an_array(checkpoint):
    for path in (checkpoint / "ema" / "ocdbt.process_0" / "d").iterdir():
        path.unlink()


def garble_an_array(checkpoint):
    for path in (checkpoint / "ema" / "ocdbt.process_0" / "d").iterdir():
        path.write_bytes(b"?" * path.stat().st_size)


@pytest.mark.parametrize(
    "harm",
    [
        truncate,
        empty,
        garble_metadata,
        empty_metadata,
        list_for_metadata,
        delete_an_array,
        garble_an_array,
    ],
)
def test_damage_that_no_checksum_of_ours_tells(copy, harm):
    """Of a checkpoint that was never sealed."""
    checkpoint = copy / "checkpoints" / "3"
    (checkpoint / checksums.FILES).unlink()
    assert checksums.damage(str(checkpoint), ALL) is None
    harm(checkpoint)
    assert checksums.damage(str(checkpoint), ALL) is not None


ERRORS = {
    "memory": MemoryError(),
    "device memory": jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory"),
    "another Orbax": TypeError("unexpected keyword argument"),
    "data": ValueError("UNAVAILABLE: try again"),
    "Ctrl-C": KeyboardInterrupt(),
    "stale": OSError(errno.ESTALE, "Stale file handle", "ema/d/1"),
    "files": OSError(errno.EMFILE, "Too many open files"),
}


def fail(monkeypatch, error, place, name):
    def broken(*_, **__):
        raise error

    monkeypatch.setattr(place, name, broken)


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_what_is_not_damage_passes_nothing_over(saved, monkeypatch, caplog, error):
    fail(monkeypatch, error, ocp.training.Checkpointer, "load_checkpointables")
    expected, message = type(error), None
    if isinstance(error, OSError):
        where = error.filename or f"{saved}/checkpoints/3"
        expected = UserError
        message = f"^{where}: cannot be read .{error.strerror}.; nothing was changed$"
    with pytest.raises(expected, match=message):
        ema_of(str(saved), make_state(0).ema)
    with pytest.raises(expected, match=message):
        restore(saved)
    assert sorted(os.listdir(saved / "checkpoints")) == ["2", "3"]
    assert not caplog.records


@pytest.mark.parametrize("name", ["_of_file", "is_sealed"])
def test_a_file_that_cannot_be_read_is_not_damaged(saved, monkeypatch, name):
    error = PermissionError(errno.EACCES, "Permission denied", "ema/_METADATA")
    fail(monkeypatch, error, checksums, name)
    message = "^ema/_METADATA: cannot be read .Permission denied.; nothing was changed$"
    with pytest.raises(UserError, match=message):
        restore(saved)
    assert sorted(os.listdir(saved / "checkpoints")) == ["2", "3"]


@pytest.mark.parametrize("item", ["ema", "config", "data"])
def test_weights_step_and_config_are_those_of_one_checkpoint(copy, caplog, item):
    """Else a prior could be called grown by the step of a newer checkpoint."""
    (copy / "checkpoints" / "3" / item / "_METADATA").write_text("")
    assert load_config(str(copy)) == CONFIG
    assert load_step(str(copy)) == 2
    assert_equal(ema_of(str(copy), make_state(0).ema), make_state(2).ema)
    assert len(caplog.records) == 1


@pytest.fixture(params=["small disk", "file size limit"])
def little_room(request, tmp_path):
    """A directory with room for one checkpoint; a function that makes room for more."""
    if request.param == "small disk":
        mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(tmp_path)]
        if subprocess.run(mount, check=False, stderr=subprocess.DEVNULL).returncode:
            pytest.skip("only root may mount a small disk")
        save(tmp_path, 1)
        more = mount[:4] + ["remount,size=4m"] + mount[5:]
        yield tmp_path, lambda: subprocess.run(more, check=True)
        subprocess.run(["umount", str(tmp_path)], check=True)
    else:
        save(tmp_path, 1)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
        yield tmp_path, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_full_disk_is_one_line_and_costs_no_older_checkpoint(
    little_room, capfd, caplog
):
    workdir, make_room = little_room
    message = r"checkpoints/2: cannot be written \((No space left on device|File too "
    message += (
        r"large)\); once that is mended, the same command continues from checkpoint 1$"
    )
    with pytest.raises(UserError, match=message):
        save(workdir, 2)
    assert capfd.readouterr().err == "" and caplog.text == ""
    make_room()
    assert_equal(restore(workdir), make_state(1))
    save(workdir, 2)
    assert_equal(restore(workdir), make_state(2))


def test_a_failed_checkpoint_is_noticed_before_the_next(tmp_path, monkeypatch):
    def full(checkpoint):
        raise OSError(28, "No space left on device", checkpoint)

    monkeypatch.setattr("rtil_jax.checkpoints.saving.seal", full)
    with Checkpoints(str(tmp_path), 2) as checkpoints:
        checkpoints.save(1, make_state(1), CONFIG)
        while not checkpoints._saving[1].done():
            pass
        with pytest.raises(UserError, match="1: cannot be written .No space left"):
            checkpoints.check()
        checkpoints.check()


def test_damaged_checkpoints_only(copy):
    for step in ("2", "3"):
        empty(copy / "checkpoints" / step)
    with pytest.raises(UserError, match="found only damaged checkpoints"):
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
