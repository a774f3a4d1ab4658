"""Compiling in a thread: XLA's compiler keeps Python from hearing signals.

What has been asked to stop while a program is compiled need not wait for it. Nothing
can end the compiler itself, so the process must then leave by `leave`.
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

LASTS = 2.0  # seconds; what is compiled in less is not worth a line
ALARMS = 110.0  # seconds; after 120, XLA writes an alarm that looks like an error
_threads: list[threading.Thread] = []


class Abandoned(Exception):
    """It was asked to stop while something was compiled."""


def compile_ahead(programs: dict[str, tuple], stopping: Stopping | None) -> None:
    """Compiles programs side by side, so that their first calls need not.

    Says which are being compiled where it lasts.

    Args:
        programs: by what they are called, as in "compiling the training step":
            `compiling.compile_together` takes them.
        stopping: who asks to stop.

    Raises:
        Abandoned: if it is asked to stop meanwhile.
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
    """What `work()` returns, computed in another thread; says `doing` if it lasts.

    Args:
        work: without arguments.
        stopping: who asks to stop.
        doing: a text, or what returns the text of the moment. Another text is said too
            if it comes `LASTS` seconds after the last one.

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
    """Ends the process, at once if a compiler still runs, which Python would await."""
    if any(thread.is_alive() for thread in _threads):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
