"""The library as a guest in another program's process."""

import json
import logging
import subprocess
import sys

import pytest

from rtil_jax.checkpoints import load_step
from rtil_jax.checkpoints.orbax import quiet
from tests.test_checkpoints import save


@pytest.fixture(scope="module")
def host():
    def run():
        command = [sys.executable, "-m", "tests.host_program"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[-1])

    found = run()
    # CPU seconds, but caches may be cold and the machine busy.
    return found if found["seconds"] < 1 else run()


def test_imports_change_nothing(host):
    assert host["changes"] == []


def test_imports_take_less_than_a_second_beyond_jax_and_flax(host):
    assert host["seconds"] < 1


def handlers_and_filters():
    loggers = map(logging.getLogger, (None, "absl", "asyncio", "concurrent.futures"))
    return [(logger.handlers[:], logger.filters[:]) for logger in loggers]


def test_checkpoints_leave_logging_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])  # pytest's
    before = handlers_and_filters()
    save(tmp_path, 1)
    assert load_step(str(tmp_path)) == 1
    with quiet():
        logging.basicConfig()  # as absl does with the first message
        with quiet():
            pass
        assert handlers_and_filters() != before
    assert handlers_and_filters() == before
