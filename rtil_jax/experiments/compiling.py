"""Compiles in a thread, because XLA's compiler keeps Python from handling signals.

A run that is asked to stop while it compiles need not wait. Nothing can end the
compiler itself, so the process must then exit by `leave`.
"""

import contextlib
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any, NoReturn

import jax
from tqdm import tqdm

from rtil_jax import distributed
from rtil_jax.compiling import compile_together
from rtil_jax.experiments.stopping import Stopping

LASTS = 2.0  # seconds; a shorter compilation is not worth a line
ALARMS = 110.0  # seconds; after 120, XLA prints an alarm that looks like an error
_threads: list[threading.Thread] = []


class Abandoned(Exception):
    """A run was asked to stop while it was compiling."""


def compile_ahead(programs: dict[str, tuple], stopping: Stopping | None) -> None:
    """Compiles programs side by side, before their first calls.

    Prints which ones are being compiled, if that takes long.

    Args:
        programs: name, as in "compiling the training step" -> the program, as
            `compiling.compile_together` takes it.
        stopping: tells whether the run was asked to stop; may be None.

    Raises:
        Abandoned: if the run is asked to stop meanwhile.
    """
    names, now = list(programs), []

    def work() -> None:
        compile_together(
            programs.values(),
            lambda number: now.append(names[number]),
            lambda number: now.remove(names[number]),
        )

    aside(work, stopping, lambda: f"compiling {', '.join(now)}" if now else "")


def aside(
    work: Callable[[], Any], stopping: Stopping | None, doing: str | Callable[[], str]
) -> Any:
    """Returns `work()`, computed in another thread; prints a line if it takes long.

    Args:
        work: the function to call.
        stopping: tells whether the run was asked to stop; may be None.
        doing: what the line says, such as "compiling the training step", or a function
            that returns it. A text that changes is printed again, `LASTS` seconds after
            the last one at the earliest.

    Raises:
        Abandoned: if the run is asked to stop meanwhile. The thread then continues.
    """
    future: futures.Future = futures.Future()
    mesh = jax.sharding.get_mesh()  # which each thread has its own of

    def run() -> None:
        try:
            with contextlib.nullcontext() if mesh.empty else jax.set_mesh(mesh):
                future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    _threads.append(thread)
    started = time.monotonic()
    said, speaks = "", distributed.is_lead()
    alarms, next_line = started + ALARMS, started + LASTS
    with stopping.at_once() if stopping else contextlib.nullcontext():
        thread.start()
        while not future.done():
            futures.wait([future], timeout=0.1)
            if stopping is not None and stopping.may_leave():
                raise Abandoned
            at, text = time.monotonic(), doing() if callable(doing) else doing
            if speaks and at > next_line and text not in ("", said):
                tqdm.write(f"{text} ...", file=sys.stderr)
                said, next_line = text, at + LASTS
            if speaks and said and at > alarms:
                alarm = "still goes on: XLA's `Very slow compile?` is no error"
                tqdm.write(f"{said} {alarm}", file=sys.stderr)
                alarms = math.inf
    thread.join()
    _threads.remove(thread)
    return future.result()


def leave(code: int) -> NoReturn:
    """Ends the process, even if a compiler still runs, for which Python would wait."""
    if any(thread.is_alive() for thread in _threads):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
