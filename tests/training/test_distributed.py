"""Several processes train as one: over loopback, with gloo's collectives.

Losses are those of one process to rounding, not to the bit: sums over a batch are taken
in parts, and then over the parts.
"""

import multiprocessing
import os
import pathlib
import re
import signal
import socket
import sys
import time

import jax
import numpy as np
import pytest

from rtil_jax import data, devices, distributed
from rtil_jax.cli.main import run_named
from rtil_jax.experiments.training import loop
from rtil_jax.experiments.training.configured_recipe import build_recipe, resolved
from rtil_jax.experiments.training.loop import train
from rtil_jax.experiments.training.training_images import (
    load_training_images,
    read_batch,
)
from tests.training.tiny_run import FIELDS, read_metrics, saved_steps, tiny_config

# Forks of a process that has imported all of `train.py` and run nothing.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["rtil_jax.cli.train"])
# No regularisers, which would be two more programs to compile in every process.
RUN = FIELDS | {
    "training.steps": 12,
    "training.r1_every": 0,
    "training.path_every": 0,
    "checkpoint.every": 3,
    "sample.every": 12,
    "log.every": 1,
}
STEP = 5  # after which things happen


def die(workdir):
    while not saved_steps(workdir):  # process 0 writes beside its steps
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGKILL)


def be_terminated(workdir):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(2)  # JAX looks for signals once a second


def run_train(arguments, folder, process, event):
    """`train.py`, in whose step after STEP something happens to process 1."""
    for name, descriptor in (("out", 1), ("err", 2)):
        path = f"{folder}/{name}{process}"
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), descriptor)

    def read(config, recipe, images, step, skipped):
        if step == STEP and process == 1 and event:
            event(pathlib.Path(folder) / "run")
        return read_batch(config, recipe, images, step, skipped)

    loop.read_batch = read
    run_named("train", list(arguments), ["python", "train.py"])


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@pytest.fixture
def train_together(images, tmp_path):
    """Exit codes and outputs of some processes on one directory."""

    def call(count, event=None):
        fields = RUN | {
            "data.source": images,
            "data.cache_dir": images.parent / "cache",
        }
        arguments = ["--config=configs/quickstart.py:tiny", f"--workdir={tmp_path}/run"]
        arguments += [f"--config.{name}={value}" for name, value in fields.items()]
        port = free_port()
        processes = []
        for index in range(count):
            more = [f"--coordinator=127.0.0.1:{port}", f"--num_processes={count}"]
            more = [*more, f"--process={index}"] if count > 1 else []
            given = arguments + more, tmp_path, index, event
            processes.append(FORKS.Process(target=run_train, args=given))
            processes[-1].start()
        for process in processes:
            process.join(120)
        codes = [process.exitcode for process in processes]
        outputs = [
            ((tmp_path / f"out{i}").read_text(), (tmp_path / f"err{i}").read_text())
            for i in range(count)
        ]
        return codes, outputs

    return call


def test_two_processes_one_killed_then_both_then_one(train_together, images, tmp_path):
    """SIGKILL, then SIGTERM, each to process 1 alone, then the rest in one process."""
    workdir = tmp_path / "run"
    (code, killed), outputs = train_together(2, die)
    # JAX's coordination service may be the first to notice, and aborts.
    assert killed == -signal.SIGKILL and code in (1, -signal.SIGABRT), outputs
    assert "2 processes x 1 device x 2," in outputs[0][0]
    lost = "error: process 0 has lost another process .*same com"
    assert code != 1 or re.search(lost, outputs[0][1])
    assert saved_steps(workdir) == [3]

    codes, outputs = train_together(2, be_terminated)
    assert codes == [0, 0], outputs
    assert "resuming at step 3" in outputs[0][0]
    (stop,) = re.findall(r"stopped by preemption after step (\d+),", outputs[0][0])
    assert STEP < int(stop) < 12 and max(saved_steps(workdir)) == int(stop)
    quiet = outputs[1][0] + outputs[1][1]
    assert "step" not in quiet and "training" not in quiet

    codes, outputs = train_together(1)
    assert codes == [0] and f"resuming at step {stop}" in outputs[0][0]
    fields = {name.replace(".", "__"): value for name, value in RUN.items()}
    train(tiny_config(images, **fields), str(tmp_path / "peace"))
    lines, expected = read_metrics(workdir), read_metrics(tmp_path / "peace")
    assert [line["step"] for line in lines] == list(range(1, 13))
    for line, like in zip(lines, expected, strict=True):
        for name in line.keys() | like.keys():
            np.testing.assert_allclose(line[name], like[name], rtol=1e-4, atol=1e-6)
    names = {path.name for path in workdir.iterdir()}
    files = {"config.json", "images.json", "metrics.jsonl", "lock"}
    assert names == files | {"samples", "checkpoints"}


def test_a_process_reads_the_images_of_its_own_devices(images, monkeypatch):
    config = resolved(tiny_config(images), 1)
    found, recipe = load_training_images(config), build_recipe(config)
    mine, were_read, get = slice(2, 4), [], data.ImageSet.__getitem__

    def make_array(shape, sharding, rows):  # as with devices that hold these rows
        return jax.numpy.asarray(rows((mine, *[slice(None)] * 3)))

    def watched(self, indices):
        were_read.extend(indices)
        return get(self, indices)

    with jax.set_mesh(devices.data_mesh(1)):
        whole = read_batch(config, recipe, found, 1, 0)
        monkeypatch.setattr(jax, "make_array_from_callback", make_array)
        monkeypatch.setattr(data.ImageSet, "__getitem__", watched)
        part = read_batch(config, recipe, found, 1, 0)
    np.testing.assert_array_equal(part, whole[mine])
    assert were_read == list(data.batch_indices(config.seed, 4, 4, 12)[mine])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("h:1", None, 0), "command line: found no --num_processes, expected --coord"),
        ((None, 2, None), "command line: found no --coordinator, expected --coord"),
        (("host", 2, 0), "--coordinator: found 'host', expected HOST:PORT"),
        (("h:1", 0, 0), "--num_processes: found 0, expected at least 1"),
        (("h:1", 2, 2), "--process: found 2, expected 0 to 1, because --num_processes"),
    ],
)
def test_flags_that_do_not_fit(arguments, message):
    with (
        pytest.raises(distributed.UserError, match=re.escape(message)),
        distributed.joined(False, *arguments),
    ):
        pass


def wait_for_nobody(folder, process):
    """Process 0 that nobody joins; or process 1 without a coordinator."""
    os.dup2(os.open(f"{folder}/{process}", os.O_CREAT | os.O_WRONLY), 2)
    distributed.TIMEOUT = 1
    with distributed.joined(False, f"127.0.0.1:{free_port()}", 2, process):
        pass


@pytest.mark.parametrize("process", [0, 1])
def test_processes_that_do_not_come_are_missed_in_one_line(process, tmp_path):
    child = FORKS.Process(target=wait_for_nobody, args=(tmp_path, process))
    child.start()
    child.join(60)
    assert child.exitcode == 1
    text = (tmp_path / str(process)).read_text()
    assert re.fullmatch(
        "error: --distributed: found that not all processes .* within 1 sec.*\n", text
    )


def compare(folder, process, port):
    """What two processes say of what only one of them has found."""
    os.dup2(os.open(f"{folder}/{process}", os.O_CREAT | os.O_WRONLY), 2)
    with distributed.joined(False, f"localhost:{port}", 2, process):
        distributed.require_alike("--config", "the same")
        damage = distributed.agreed("damaged" if process == 1 else None)
        print(damage, distributed.agreed(None), file=sys.stderr)
        distributed.require_alike("--config", f"of process {process}")


def test_what_one_process_finds_is_decided_by_all(tmp_path):
    port = free_port()
    children = [
        FORKS.Process(target=compare, args=(tmp_path, process, port))
        for process in (0, 1)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [1, 1]
    error = (
        "error: --config: found a difference between process 1 and process 0, expected "
        "the same in all processes\n"
    )
    zero, one = ((tmp_path / name).read_text() for name in "01")
    assert (zero, one) == (
        f"process 1 found the problem None\n{error}",
        f"damaged None\n{error}",
    )


def ask_for_a_cluster(path):
    os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), 2)
    try:
        with distributed.joined(automatic=True):
            pass
    except distributed.UserError as error:
        print(error, file=sys.stderr)


def test_no_cluster_to_be_found(tmp_path):
    child = FORKS.Process(target=ask_for_a_cluster, args=(tmp_path / "err",))
    child.start()
    child.join(60)
    text = (tmp_path / "err").read_text()
    assert text.startswith("--distributed: found no cluster that JAX knows ("), text
