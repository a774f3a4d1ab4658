"""Compiling in a thread: XLA's compiler keeps Python from hearing signals.

What has been asked to stop while a program is compiled need not wait for it. Nothing
can end the compiler itself, so the process must then leave by `leave`.
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

LASTS = 2.0  # seconds; what is compiled in less is not worth a line
ALARMS = 110.0  # seconds; after 120, XLA writes an alarm that looks like an error
_threads: list[threading.Thread] = []


class Abandoned(Exception):
    """It was asked to stop while something was compiled."""


def compile_ahead(
    programs: Sequence[tuple], called: Sequence[str], stopping: Stopping | None
) -> None:
    """Compiles programs, so that their first calls need not; says so where it lasts.

    Args:
        programs: (jitted function, *arguments), arrays or their shapes. JAX takes a
            call for the same program if shapes, types and shardings are the same.
        called: what each is called, as in "compiling the training step".
        stopping: who asks to stop.

    Raises:
        Abandoned: if it is asked to stop meanwhile.
    """
    for (function, *arguments), name in zip(programs, called, strict=True):

        def work(function: Any = function, arguments: list = arguments) -> None:
            function.lower(*arguments).compile()

        aside(work, stopping, f"compiling {name}")


def aside(work: Callable[[], Any], stopping: Stopping | None, doing: str) -> Any:
    """What `work()` returns, computed in another thread; says `doing` if it lasts.

    Raises:
        Abandoned: if it is asked to stop meanwhile. The thread goes on.
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
        (ALARMS, f"{doing} still goes on: XLA's `Very slow compile?` is no error"),
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
    """Ends the process, at once if a compiler still runs, which Python would await."""
    if any(thread.is_alive() for thread in _threads):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
