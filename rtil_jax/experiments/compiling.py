"""Compiles in a thread, because XLA's compiler keeps Python from handling signals.

A run that is asked to stop while it compiles need not wait. Nothing can end the
compiler itself, so the process must then exit by `leave`.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any, NoReturn

import jax
from tqdm import tqdm

from rtil_jax import distributed
from rtil_jax.experiments.stopping import Stopping

LASTS = 2.0  # seconds; a shorter compilation is not worth a line
ALARMS = 110.0  # seconds; after 120, XLA prints an alarm that looks like an error
_threads: list[threading.Thread] = []


class Abandoned(Exception):
    """A run was asked to stop while it was compiling."""


def compile_ahead(
    programs: Sequence[tuple], called: Sequence[str], stopping: Stopping | None
) -> None:
    """Compiles programs before their first calls; prints a line if that takes long.

    Args:
        programs: (jitted function, *arguments or their shapes). JAX uses the compiled
            program for calls with the same shapes, types and shardings.
        called: the name of each program, as in "compiling the training step".
        stopping: tells whether the run was asked to stop; may be None.

    Raises:
        Abandoned: if the run is asked to stop meanwhile.
    """
    for (function, *arguments), name in zip(programs, called, strict=True):

        def work(function: Any = function, arguments: list = arguments) -> None:
            function.lower(*arguments).compile()

        aside(work, stopping, f"compiling {name}")


def aside(work: Callable[[], Any], stopping: Stopping | None, doing: str) -> Any:
    """Returns `work()`, computed in another thread; prints a line if it takes long.

    Args:
        work: the function to call.
        stopping: tells whether the run was asked to stop; may be None.
        doing: what the line says, such as "compiling the training step".

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
    lines = [
        (LASTS, f"{doing} ..."),
        (ALARMS, f"still {doing}; ignore XLA's message `Very slow compile?`"),
    ]
    if not distributed.is_lead():
        lines.clear()
    with stopping.at_once() if stopping else contextlib.nullcontext():
        thread.start()
        while not future.done():
            futures.wait([future], timeout=0.1)
            if stopping is not None and stopping.may_leave():
                raise Abandoned
            if lines and time.monotonic() - started > lines[0][0]:
                tqdm.write(lines.pop(0)[1], file=sys.stderr)
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
