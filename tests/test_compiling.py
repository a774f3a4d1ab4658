"""Work aside of the main thread, which hears signals meanwhile."""

import signal
import threading
import types

import jax
import pytest

import rtil_jax.compiling
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


def programs_of(sizes):
    """A program for each size, whose compilation takes as long as it is told."""
    function = jax.jit(lambda x: x + 1)
    return {
        f"stage {number} of {len(sizes)}": (
            function,
            jax.ShapeDtypeStruct((size,), int),
        )
        for number, size in enumerate(sizes, 1)
    }


def test_programs_are_compiled_side_by_side(monkeypatch):
    """Each waits for the other one to begin: one after the other, none would end."""
    both = threading.Barrier(2)
    compile_one = jax.stages.Lowered.compile

    def waiting(self, *options):
        both.wait(timeout=20)
        return compile_one(self, *options)

    monkeypatch.setattr(jax.stages.Lowered, "compile", waiting)
    compiling.compile_ahead(programs_of((3, 5)), None)


def test_equal_programs_are_compiled_once(monkeypatch):
    compiled, compile_one = [], jax.stages.Lowered.compile
    monkeypatch.setattr(
        jax.stages.Lowered,
        "compile",
        lambda self: compiled.append(self) or compile_one(self),
    )
    programs = programs_of((7, 9, 7, 9))
    compiling.compile_ahead(programs, None)
    assert len(compiled) == 2
    compiling.compile_ahead(programs, None)
    assert len(compiled) == 2


def test_it_says_which_programs_are_being_compiled(monkeypatch, capsys):
    monkeypatch.setattr(compiling, "LASTS", 0.0)
    first, compile_one = threading.Event(), jax.stages.Lowered.compile

    def compile_for_a_while(self):
        is_first = not first.is_set()
        first.set()
        threading.Event().wait(0.8 if is_first else 1.6)
        return compile_one(self)

    monkeypatch.setattr(jax.stages.Lowered, "compile", compile_for_a_while)
    compiling.compile_ahead(programs_of((11, 13)), None)
    *before, last = capsys.readouterr().err.splitlines()
    assert before[-1] == "compiling stage 1 of 2, stage 2 of 2 ..."
    assert last == "compiling stage 2 of 2 ..."


def test_what_the_compiler_raises_is_raised(monkeypatch):
    def fail(self):
        raise RuntimeError("no memory")

    monkeypatch.setattr(jax.stages.Lowered, "compile", fail)
    with pytest.raises(RuntimeError, match="no memory"):
        compiling.compile_ahead(programs_of((15,)), None)


def test_options_are_those_of_the_platform_and_of_this_xla(monkeypatch):
    options = rtil_jax.compiling.options.__wrapped__
    assert options() == {"xla_backend_optimization_level": 1}
    assert options(once=True) == {"xla_backend_optimization_level": 0}

    def has(platform, version):
        client = types.SimpleNamespace(platform_version=version)
        device = types.SimpleNamespace(platform=platform, client=client)
        monkeypatch.setattr(jax, "devices", lambda: [device])

    has("tpu", "libtpu")
    assert options() == {}
    has("gpu", "rocm 60300")
    assert options() == {}
    has("gpu", "PJRT C API\ncuda 12090")
    known = "xla_gpu_experimental_enable_fusion_autotuner"
    monkeypatch.setattr(rtil_jax.compiling, "_is_known", lambda name, _: name == known)
    assert options() == {known: False}


def test_an_option_that_xla_does_not_know_is_told_from_one_that_it_does():
    assert rtil_jax.compiling._is_known("xla_backend_optimization_level", 1)
    assert not rtil_jax.compiling._is_known("xla_cpu_of_tomorrow", True)


def test_a_compiled_function_is_a_part_of_the_program_that_calls_it():
    double = rtil_jax.compiling.compiled(
        lambda x, times: times * x, once=True, static_argnames="times"
    )
    assert double(3, times=2) == jax.jit(lambda x: double(x, times=2))(3) == 6
    assert jax.grad(lambda x: double(x, times=2))(1.0) == 2
