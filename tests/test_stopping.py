"""Signals and notices ask for the end; the loop's tests say what it does then."""

import signal
import subprocess
import sys

import pytest
from jax.experimental import multihost_utils

from rtil_jax.experiments.stopping import Stopping, nothing_to_save


def test_signals_are_themselves_again_afterwards():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with Stopping() as stopping:
        assert not stopping.asked(1)
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert signal.set_wakeup_fd(-1) == -1


def test_systems_without_some_of_the_signals(monkeypatch):
    monkeypatch.delattr(signal, "SIGUSR1")  # Windows
    with nothing_to_save(), Stopping() as stopping:
        signal.raise_signal(signal.SIGTERM)
        assert stopping.asked(1) and stopping.reason == "SIGTERM"


def test_the_notice_of_preemption_is_honoured(monkeypatch):
    def notice(step):
        return step == 5

    monkeypatch.setattr(multihost_utils, "reached_preemption_sync_point", notice)
    with Stopping() as stopping:
        assert [stopping.asked(step) for step in (4, 5, 6)] == [False, True, True]
    assert stopping.reason == "preemption"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
def test_before_the_first_step_a_signal_ends_it_well(name, capsys):
    number = signal.Signals[name]
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as left, nothing_to_save():
        signal.raise_signal(number)
    assert left.value.code == 0
    assert capsys.readouterr().err.startswith(f"{name}: stopped before the first")
    assert signal.getsignal(number) == before


# Handlers of signals wait for the main thread, which is in one long call.
BUSY = """
import ctypes
from rtil_jax.experiments.stopping import Stopping
with Stopping():
    print("ready", flush=True)
    ctypes.CDLL(None).poll(None, 0, 60_000) and ctypes.CDLL(None).poll(None, 0, 60_000)
"""


def test_a_second_interrupt_exits_at_once():
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process = subprocess.Popen([sys.executable, "-c", BUSY], **pipes)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    answer = process.stderr.readline()
    assert answer.endswith(
        "SIGINT: stopping after this step; press Ctrl-C again to exit at once\n"
    )
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.strip() == "interrupted; the same command continues"
