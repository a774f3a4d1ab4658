"""Work aside of the main thread, which hears signals meanwhile."""

import signal
import threading

import pytest

from rtil_jax.experiments import compiling
from rtil_jax.experiments.compiling import Abandoned, aside
from rtil_jax.experiments.stopping import Stopping


def test_it_returns_or_raises_what_the_work_does():
    assert aside(lambda: 3, None, "computing") == 3
    with pytest.raises(ZeroDivisionError):
        aside(lambda: 1 / 0, None, "dividing")


def test_it_says_what_lasts(monkeypatch, capsys):
    monkeypatch.setattr(compiling, "LASTS", 0.0)
    aside(lambda: threading.Event().wait(0.3), None, "compiling stage 3 of 5")
    aside(lambda: 3, None, "compiling nothing")
    assert capsys.readouterr().err == "compiling stage 3 of 5 ...\n"


def test_it_says_that_the_compilers_own_alarm_is_no_error(monkeypatch, capsys):
    monkeypatch.setattr(compiling, "LASTS", 0.0)
    monkeypatch.setattr(compiling, "ALARMS", 0.1)
    aside(lambda: threading.Event().wait(0.5), None, "compiling stage 3 of 5")
    last = "compiling stage 3 of 5 still goes on: XLA's `Very slow compile?` is no "
    last += "error"
    assert capsys.readouterr().err.splitlines()[1:] == [last]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_a_signal_abandons_it(name, capsys):
    ends = threading.Event()

    def work():
        signal.raise_signal(signal.Signals[name])
        ends.wait(60)

    with Stopping() as stopping, pytest.raises(Abandoned):
        aside(work, stopping, "compiling")
    assert stopping.reason == name
    assert capsys.readouterr().err == f"{name}: stopping\n"
    ends.set()


def test_a_process_leaves_although_a_thread_goes_on(monkeypatch):
    left: list[int] = []
    monkeypatch.setattr(compiling.os, "_exit", left.append)
    ends = threading.Event()
    with Stopping() as stopping, pytest.raises(Abandoned):
        stopping.reason = "SIGTERM"
        aside(lambda: ends.wait(60), stopping, "compiling")
    with pytest.raises(SystemExit):
        compiling.leave(3)
    assert left == [3]
    ends.set()
