"""Directories that are in use, full or read-only: one line, and nothing is lost."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import rtil_jax
from rtil_jax.config import save_config
from rtil_jax.errors import UserError
from rtil_jax.experiments.parsing import as_json
from rtil_jax.experiments.training.loop import train
from rtil_jax.experiments.training.metrics_file import MetricsFile
from rtil_jax.experiments.training.training_images import load_training_images
from rtil_jax.experiments.training.training_workdir import (
    check_images,
    check_workdir,
    record_config,
    record_images,
)
from rtil_jax.locks import owned, waiting
from tests.training.tiny_run import contents, read_metrics, tiny_config, tiny_run

OWNER = """
import sys, time
from rtil_jax.locks import owned
with owned(sys.argv[1]):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_two_processes_on_one_directory(images, tmp_path):
    workdir = tmp_path / "run"
    (workdir / "samples").mkdir(parents=True)
    command = [sys.executable, "-c", OWNER, str(workdir)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE)
    first.stdout.readline()
    before = contents(workdir)
    message = f"--workdir: found {workdir} in use by process {first.pid} on "
    with pytest.raises(UserError, match=re.escape(message)):
        train(tiny_config(images), str(workdir))
    assert contents(workdir) == before
    # Whatever a killed process leaves behind is no lock.
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert (workdir / "lock").read_text().startswith(f"{first.pid} on ")
    with owned(str(workdir)):
        assert (workdir / "lock").read_text().startswith(f"{os.getpid()} on ")
    with owned(str(workdir)):
        pass


def test_no_locks_on_this_file_system(tmp_path, monkeypatch, caplog):
    def flock(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", flock)
    for _ in range(2):
        with owned(str(tmp_path)), waiting(str(tmp_path / "waiting")):
            assert (
                caplog.text.count("locks do not work here (Function not implemented)")
                == 1
            )


WITHOUT_FCNTL = """
import sys
sys.modules["fcntl"] = None
from rtil_jax.locks import owned, waiting
for _ in range(2):
    with owned(sys.argv[1]), waiting(sys.argv[1] + "/waiting"):
        pass
"""


def test_without_fcntl_a_directory_can_still_be_owned(tmp_path):
    command = [sys.executable, "-c", WITHOUT_FCNTL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("locks do not work here") == 1
    assert os.listdir(tmp_path) == ["lock"]


POSIX_ONLY = (
    r"import (fcntl|resource|termios|pwd|grp)\b|"
    r"\bos\.(fork|getuid|killpg|set_blocking|mkfifo)\b|signal\.SIG(?!INT|TERM)[A-Z]"
)


def test_no_module_needs_what_only_posix_has():
    paths = list(Path(rtil_jax.__file__).parent.rglob("*.py"))
    assert len(paths) > 100
    for path in paths:
        assert not re.search(POSIX_ONLY, path.read_text(encoding="utf-8")), path


def test_one_process_at_a_time_waits_for_the_one_before(tmp_path):
    """Also where the one before has removed the file that others wait for."""
    path, inside, most = str(tmp_path / "lock"), [], []

    def enter(_):
        with waiting(path):
            inside.append(None)
            most.append(len(inside))
            time.sleep(0.002)
            inside.pop()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(enter, range(40)))
    assert max(most) == 1 and not os.path.exists(path)


def test_a_run_goes_on_with_the_same_images_only(images, tmp_path):
    """They may move; others are refused, whichever way they differ."""
    workdir, folder = tmp_path / "run", tmp_path / "images"
    workdir.mkdir()
    shutil.copytree(images, folder)
    config = tiny_run(folder)
    check_images(load_training_images(config), str(workdir))
    record_images(load_training_images(config), str(workdir))
    record_config(config, str(workdir), {})

    folder = folder.rename(tmp_path / "moved")
    config = tiny_run(folder)
    check_workdir(config, str(workdir))
    check_images(load_training_images(config), str(workdir))

    shutil.copy(folder / "03.png", folder / "new.png")
    message = (
        r"images.json: found 13 images of moved .*: 1 added \(new.png\), expected 12 "
        r"images of images .*, as for the steps so far; choose another --workdir, with "
        rf"--config.init_from={workdir} to start"
    )
    with pytest.raises(UserError, match=message):
        check_images(load_training_images(config), str(workdir))
    (folder / "new.png").rename(folder / "03.png")
    check_images(load_training_images(config), str(workdir))
    shutil.copy(folder / "04.png", folder / "03.png")
    with pytest.raises(UserError, match=r"1 changed \(03.png\)"):
        check_images(load_training_images(config), str(workdir))


def test_a_directory_of_an_older_version(images, tmp_path):
    """It has no window and no units in its config, and no record of its images."""
    config = tiny_run(images)
    old = as_json(config)
    del old["data"]["window"]
    del old["family"]["sigma_units"]
    old["training"].pop("reference_batch")
    save_config(old, str(tmp_path / "config.json"))
    check_workdir(config, str(tmp_path))
    check_images(load_training_images(config), str(tmp_path))
    with pytest.raises(UserError, match="found a run with config.data.source"):
        check_workdir(tiny_run(tmp_path), str(tmp_path))
    config = tiny_run(images, data__window=(0, 4095))
    with pytest.raises(UserError, match="config.data.window"):
        check_workdir(config, str(tmp_path))


def test_a_full_disk_while_metrics_are_written(tmp_path):
    file = MetricsFile(str(tmp_path), 0, 0, {})
    os.symlink("/dev/full", tmp_path / "metrics.jsonl")
    message = "metrics.jsonl: cannot be written .No space left on device.; once"
    with pytest.raises(UserError, match=message):
        file.write(1, 4, {"d_loss": 1.0})
    os.unlink(tmp_path / "metrics.jsonl")
    file.write(1, 4, {"d_loss": 1.0})
    assert [line["step"] for line in read_metrics(tmp_path)] == [1]


@pytest.fixture
def read_only(tmp_path):
    """A directory that cannot be written, even by root where it may mount one."""
    folder = tmp_path / "read_only"
    folder.mkdir()
    folder.chmod(0o555)
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]
    if os.access(folder, os.W_OK) and subprocess.run(mount, check=False).returncode:
        pytest.skip("root may write everywhere, and not mount")
    yield folder
    if os.path.ismount(folder):
        subprocess.run(["umount", str(folder)], check=True)


def test_a_read_only_directory(images, read_only):
    for workdir in (read_only, read_only / "run"):
        with pytest.raises(UserError, match=f"{workdir} cannot be written"):
            train(tiny_config(images), str(workdir))
        with pytest.raises(UserError, match="cannot be written"):
            check_workdir(tiny_run(images), str(workdir))
    assert list(read_only.iterdir()) == []
