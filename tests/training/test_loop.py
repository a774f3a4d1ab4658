import json
import os
import shutil
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from rtil_jax import devices
from rtil_jax.checkpoints import Checkpoints
from rtil_jax.config import plain, save_config
from rtil_jax.errors import UserError
from rtil_jax.experiments.training import loop, several_steps, training_images
from rtil_jax.experiments.training.configured_recipe import build_recipe, resolved
from rtil_jax.experiments.training.loop import train
from rtil_jax.experiments.training.metrics_file import MetricsFile
from rtil_jax.priors import registry
from rtil_jax.priors.packed import write_weights
from tests.training.tiny_run import (
    Killed,
    assert_same_run,
    contents,
    final_state,
    read_metrics,
    saved_steps,
    tiny_config,
    tiny_run,
)


def initial_state(config, workdir):
    """The state with which training in `workdir` would begin."""
    mesh, run = devices.data_mesh(), resolved(config, 1)
    with Checkpoints(str(workdir), 1) as checkpoints:
        return loop.initial_state(run, build_recipe(run), checkpoints, mesh)


def test_a_run_leaves_config_metrics_samples_and_checkpoints(images, finished_run):
    config = tiny_config(images)
    recorded = json.loads((finished_run / "config.json").read_text())
    (made,) = recorded.pop("runs")
    assert recorded == json.loads(config.to_json())
    assert made["versions"]["jax"] == jax.__version__
    assert made["device"] == f"{jax.device_count()} x cpu"
    assert made.keys() == {"command", "versions", "device", "revision"}
    metrics = read_metrics(finished_run, rates=True)
    # Every second step, every checkpoint and the end.
    assert [line["step"] for line in metrics] == [2, 4, 5, 6, 8, 9]
    assert all(np.isfinite(list(line.values())).all() for line in metrics)
    assert all(line["images_per_second"] > 0 for line in metrics)
    # R1 was measured in the steps after 0, 4 and 8 finished ones.
    r1 = [line["r1"] for line in metrics]
    assert r1[0] == r1[1] != r1[2] == r1[3] == r1[4] != r1[5]
    # Every line has the size of the features then, after both blocks.
    for name in ("feature_rms_1", "feature_rms_2"):
        assert len({line[name] for line in metrics}) == len(metrics)
    assert {path.name for path in (finished_run / "checkpoints").iterdir()} == {
        "5",
        "9",
    }
    with Image.open(finished_run / "samples" / "0000009.png") as picture:
        # Two members, each under its name, which is wider than two columns.
        assert picture.size[0] > 2 * 8 + 2 and picture.size[1] == 2 * (16 + 8)


@pytest.fixture
def on_devices(monkeypatch):
    """Images are kept on the devices, as on GPUs, so that calls make several steps."""
    monkeypatch.setattr(training_images, "_memory", lambda mesh: 2**30)


def test_calls_of_several_steps_end_where_due_and_resume_with_the_same_bits(
    images, tmp_path, on_devices, monkeypatch
):
    lengths, make_steps = [], loop.make_steps

    def counting(*arguments):
        lengths.append(arguments[-2])
        return make_steps(*arguments)

    monkeypatch.setattr(loop, "make_steps", counting)
    # No regularisers, which take long to compile.
    fields = {"training__r1_every": 0, "training__path_every": 0}
    config = tiny_config(images, **fields)
    train(config, str(tmp_path / "whole"))
    assert lengths == [2, 2, 1, 1, 2, 1]
    lines = read_metrics(tmp_path / "whole")
    assert [line["step"] for line in lines] == [2, 4, 5, 6, 8, 9]
    assert all(np.isfinite(list(line.values())).all() for line in lines)
    assert {"d_loss", "g_gradient", "feature_rms_1"} <= lines[0].keys()
    shutil.copytree(tmp_path / "whole", tmp_path / "half")
    shutil.rmtree(tmp_path / "half" / "checkpoints" / "9")
    train(config, str(tmp_path / "half"))
    assert lengths[6:] == [1, 2, 1]
    assert_same_run(config, tmp_path / "half", tmp_path / "whole")


@pytest.mark.parametrize(
    "done, count", [(0, 16), (32, 8), (40, 10), (50, 14), (96, 4), (120, 3)]
)
def test_a_call_ends_where_something_is_due(images, done, count):
    every = {"log__every": 50, "sample__every": 64, "checkpoint__every": 40}
    run = tiny_run(images, training__steps=123, **every)
    assert several_steps.steps_until_due(run, done, 16) == count
    assert several_steps.steps_until_due(run, done, 1) == 1


def test_training_moves_every_part_of_the_state(images, finished_run, tmp_path):
    config = tiny_config(images)
    trained = final_state(config, finished_run)
    start = initial_state(config, tmp_path)
    assert (int(start.step), int(trained.step)) == (0, 9)
    assert (trained.path_means != start.path_means).all()
    for name in ("generator", "discriminator", "ema"):
        pairs = zip(
            jax.tree.leaves(getattr(trained, name)),
            jax.tree.leaves(getattr(start, name)),
            strict=True,
        )
        assert all((a != b).any() for a, b in pairs), name


def test_the_same_config_makes_the_same_bits(images, finished_run, tmp_path):
    train(tiny_config(images), str(tmp_path / "run"))
    assert_same_run(tiny_config(images), tmp_path / "run", finished_run)


def test_a_killed_run_continues_bit_for_bit(images, finished_run, kill_at, tmp_path):
    config, workdir = tiny_config(images), tmp_path / "run"
    revive = kill_at(7)
    with pytest.raises(Killed):
        train(config, str(workdir))
    # Steps 6 and 7 came after the last checkpoint; 6 was logged.
    assert [line["step"] for line in read_metrics(workdir)] == [2, 4, 5, 6]
    with open(workdir / "metrics.jsonl", "a") as file:
        file.write('{"step": 8, "d_lo')
    revive()
    train(config, str(workdir))
    assert_same_run(config, workdir, finished_run)


# Dies as soon as the first checkpoint is being written.
KILLED_WHILE_SAVING = """
import os, pathlib, signal, sys
from rtil_jax.checkpoints import Checkpoints
from rtil_jax.experiments.training.loop import train
from tests.training.tiny_run import tiny_config
Checkpoints._complete = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
train(tiny_config(pathlib.Path(sys.argv[1])), sys.argv[2])
"""


def test_a_run_killed_while_it_saves_continues_bit_for_bit(
    images, finished_run, tmp_path
):
    """The short form of `benchmarks/chaos.py`."""
    command = [sys.executable, "-c", KILLED_WHILE_SAVING, images, tmp_path]
    killed = subprocess.run([*map(str, command)], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [line["step"] for line in read_metrics(tmp_path)] in (
        [2, 4, 5],
        [2, 4, 5, 6],
    )
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1
    train(tiny_config(images), str(tmp_path))
    assert_same_run(tiny_config(images), tmp_path, finished_run)


def test_a_run_killed_before_its_first_checkpoint_starts_again(
    images, finished_run, kill_at, tmp_path
):
    config, workdir = tiny_config(images), tmp_path / "run"
    revive = kill_at(3)
    with pytest.raises(Killed):
        train(config, str(workdir))
    assert [line["step"] for line in read_metrics(workdir)] == [2]
    revive()
    train(config, str(workdir))
    assert_same_run(config, workdir, finished_run)


def test_a_stopped_run_ends_like_one_left_in_peace(
    images, finished_run, tmp_path, monkeypatch, capsys
):
    """Three signals, in the steps after 2, 5 and 7 finished ones, and a notice."""
    config = tiny_config(images)
    signals = {2: signal.SIGTERM, 5: signal.SIGINT, 7: signal.SIGUSR1}

    def read(config, recipe, images, step, skipped):
        if step in signals:
            os.kill(os.getpid(), signals.pop(step))
        return read_batch(config, recipe, images, step, skipped)

    read_batch = loop.read_batch
    monkeypatch.setattr(loop, "read_batch", read)
    for step, name in [(3, "SIGTERM"), (6, "SIGINT"), (8, "SIGUSR1")]:
        train(config, str(tmp_path))
        said = capsys.readouterr()
        assert said.out.splitlines()[-1] == (
            f"stopped by {name} after step {step}, which is saved; the same command "
            "continues"
        )
        assert f"{name}: stopping after this step" in said.err
        assert max(saved_steps(tmp_path)) == step
    train(config, str(tmp_path))
    assert "finished 9 steps" in capsys.readouterr().out
    assert_same_run(config, tmp_path, finished_run)


def test_a_longer_run_continues_a_shorter_one(images, finished_run, tmp_path, capsys):
    train(tiny_config(images, training__steps=5), str(tmp_path))
    assert "resuming" not in capsys.readouterr().out
    config = tiny_config(images)
    train(config, str(tmp_path))
    assert "resuming at step 5" in capsys.readouterr().out
    assert_same_run(config, tmp_path, finished_run)
    assert json.loads((tmp_path / "config.json").read_text())["training"]["steps"] == 9


def test_a_finished_run_does_nothing_more(images, finished_run, tmp_path):
    workdir = tmp_path / "again"
    shutil.copytree(finished_run, workdir)
    before = contents(workdir)
    train(tiny_config(images), str(workdir))
    assert contents(workdir) == before


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(
    images, finished_run, tmp_path, caplog
):
    workdir = tmp_path / "run"
    shutil.copytree(finished_run, workdir)
    shutil.rmtree(workdir / "checkpoints" / "9" / "ema")
    train(tiny_config(images), str(workdir))
    assert "checkpoints/9: skipped a damaged checkpoint" in caplog.text
    assert_same_run(tiny_config(images), workdir, finished_run)


def test_init_from_takes_networks_but_starts_anew(
    images, finished_run, tmp_path, capsys
):
    # Another family may start from it: vanilla from RTIL.
    config = tiny_config(images, init_from=str(finished_run), family__blocks=())
    state = initial_state(config, tmp_path)
    assert f"starting from the weights of {finished_run}" in capsys.readouterr().out
    source = final_state(tiny_config(images), finished_run)
    for name in ("generator", "discriminator", "ema"):
        jax.tree.map(
            np.testing.assert_array_equal, getattr(state, name), getattr(source, name)
        )
    anew = state.step, state.path_means, state.generator_optimizer
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(anew))
    assert state.path_means.shape == (1,)


@pytest.mark.parametrize(
    "field, value",
    [("seed", 1), ("training__learning_rate", 0.1), ("family__blocks", ())],
)
def test_a_directory_belongs_to_one_config(images, finished_run, field, value):
    before = contents(finished_run)
    name = field.replace("__", r"\.")
    with pytest.raises(UserError, match=rf"a run with config\.{name} = .*; choose"):
        train(tiny_config(images, **{field: value}), str(finished_run))
    assert contents(finished_run) == before


def test_bad_images_leave_no_trace(tmp_path):
    workdir = tmp_path / "run"
    with pytest.raises(UserError, match="no such file or folder"):
        train(tiny_config(tmp_path / "nowhere"), str(workdir))
    assert not workdir.exists()


def test_a_bad_init_from_does_not_claim_the_directory(images, tmp_path):
    config = tiny_config(images, init_from=str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="config.init_from: found '.*nowhere', which"):
        train(config, str(tmp_path / "run"))
    for file in ("config.json", "images.json"):
        assert not (tmp_path / "run" / file).exists()


@pytest.fixture
def packed(finished_run, images, tmp_path, monkeypatch):
    """`pretrained:mine` of the EMA of the finished run."""
    monkeypatch.setattr(registry, "ROOT", str(tmp_path / "packed"))
    folder = tmp_path / "packed" / "mine"
    folder.mkdir(parents=True)
    config = tiny_config(images)
    ema = jax.device_get(final_state(config, finished_run).ema)
    write_weights(str(folder), ema)
    save_config(plain(config), str(folder / "config.json"))
    return ema


def test_a_packaged_prior_starts_the_generator_and_the_discriminator_is_fresh(
    images, packed, tmp_path, capsys
):
    config = tiny_config(images, init_from="pretrained:mine", family__blocks=())
    state = initial_state(config, tmp_path)
    words = "the weights of pretrained:mine; the discriminator starts anew"
    assert words in capsys.readouterr().out
    fresh = initial_state(tiny_config(images, family__blocks=()), tmp_path)
    for name, expected in (
        ("generator", packed),
        ("ema", packed),
        ("discriminator", fresh.discriminator),
    ):
        jax.tree.map(np.testing.assert_array_equal, getattr(state, name), expected)
    # They are two, as a step donates both.
    pairs = zip(
        jax.tree.leaves(state.generator), jax.tree.leaves(state.ema), strict=True
    )
    assert not any(
        a.unsafe_buffer_pointer() == b.unsafe_buffer_pointer() for a, b in pairs
    )


@pytest.mark.parametrize(
    "init_from, changes, message",
    [
        ("nowhere", {}, "found 'nowhere', which does not exist"),
        ("pretrained:mien", {}, "expected one of mine; did you mean pretrained:mine?"),
        ("gs://bucket/run", {}, "found gs://bucket/run, expected a local path"),
        ("pretrained:mine", {"generator__latent_dim": 9}, "does not fit the config"),
        ("RUN", {"generator__latent_dim": 9}, "does not fit the config"),
    ],
)
def test_a_dry_run_refuses_what_the_run_could_not_start_from(
    init_from, changes, message, images, finished_run, packed, tmp_path
):
    init_from = str(finished_run) if init_from == "RUN" else init_from
    config = tiny_config(images, init_from=init_from, **changes)
    for dry_run in (True, False):
        with pytest.raises(UserError, match=f"^config.init_from: .*{message}") as error:
            train(config, str(tmp_path / "run"), dry_run)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_metrics_file_keeps_the_newest_value_of_everything(tmp_path):
    file = MetricsFile(str(tmp_path), step=0, images=0, latest={})
    file.write(1, 4, {"d_loss": 1.0, "r1": 5.0})
    file.write(2, 8, {"d_loss": 2.0})
    latest = file.latest
    file.write(3, 12, {"d_loss": 3.0})
    # Resumed at step 2; what a killed run left unfinished does not count.
    with open(tmp_path / "metrics.jsonl", "ab") as unfinished:
        unfinished.write(b'7\n[]\n{"step": null}\n\xff\n{"step": 4')
    file = MetricsFile(str(tmp_path), step=2, images=8, latest=latest)
    file.write(4, 16, {"d_loss": 4.0})
    lines = read_metrics(tmp_path)
    assert [line["step"] for line in lines] == [1, 2, 4]
    assert [line["d_loss"] for line in lines] == [1.0, 2.0, 4.0]
    assert [line["r1"] for line in lines] == [5.0] * 3


def test_the_samples_of_a_run_are_comparable(images, finished_run):
    """Rows share z_0 with the base model, and differ from it by their z_k."""
    config = tiny_config(images)
    recipe = build_recipe(resolved(config, 1))
    ema = final_state(config, finished_run).ema
    base, perturbed = recipe.sample(ema, 9, 2)
    np.testing.assert_array_equal(base, recipe.sample(ema, 0, 2)[0])
    assert (base[0] != base[1]).any() and (base != perturbed).any()
