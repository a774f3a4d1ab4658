"""Bars in a log: lines of their own, few of them."""

import sys

from tqdm import tqdm

from rtil_jax import progress as module
from rtil_jax.progress import progress


def test_a_log_gets_the_first_and_the_last_line(capsys):
    with progress(1_000, "training") as bar:
        for step in range(1_000):
            bar.set_postfix({"loss": step}, refresh=False)
            bar.update()
            if step == 500:
                tqdm.write("warning: look", file=sys.stderr)
    first, warning, last = capsys.readouterr().err.splitlines()
    assert first.startswith("training:   0% 0/1000 [") and warning == "warning: look"
    assert last.startswith("training: 100% 1000/1000 [") and "loss=999]" in last


def test_a_log_gets_a_line_whenever_the_time_is_over(capsys, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.0)
    with progress(5, "training") as bar:
        for _ in range(5):
            bar.update()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[2] for line in lines] == [f"{n}/5" for n in (*range(6), 5)]


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress(5, "training") as bar:
        bar.update(5)
    assert capsys.readouterr().err.count("\r") >= 2
