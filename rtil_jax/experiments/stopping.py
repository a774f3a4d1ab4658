"""Stopping between two steps or batches: signals, and JAX's notice of preemption.

SIGTERM and SIGUSR1 are what SLURM sends before it takes the machines away (`sbatch
--signal=USR1@120`), SIGINT is Ctrl-C.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

import jax
from jax.experimental import multihost_utils
from tqdm import tqdm

INTERRUPTED = 130  # the exit code that shells give to Ctrl-C
PATIENCE = 1.0  # seconds that Python has to raise a KeyboardInterrupt
# A signal is heard in two threads, and told of once.
_leaving = threading.Lock()


@contextlib.contextmanager
def nothing_to_save(*names: str) -> Iterator[None]:
    """A context before the first step, in which signals end the process well, at once.

    With `jax.distributed`, SIGTERM stays JAX's.

    Args:
        names: of the signals, such as "SIGTERM"; all that ask for the end without any.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        name = signal.Signals(number).name
        print(
            f"{name}: stopped before anything was computed; the same command starts "
            "anew",
            file=sys.stderr,
        )
        sys.exit(0)

    chosen = [s for s in _signals() if not names or signal.Signals(s).name in names]
    previous = {number: signal.signal(number, leave) for number in chosen}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _signals() -> list[int]:
    """The signals that ask a run to end. `jax.distributed` handles SIGTERM itself."""
    names = ["SIGINT", "SIGUSR1"]  # Windows has no SIGUSR1.
    names += [] if jax.distributed.is_initialized() else ["SIGTERM"]
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """A block that Ctrl-C ends by KeyboardInterrupt.

    In a long call into another language Python cannot raise one: the process ends.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    raised = threading.Event()

    def handler(number: int, frame: FrameType | None) -> NoReturn:
        raised.set()
        raise KeyboardInterrupt

    def watcher(number: int) -> None:
        if number == signal.SIGINT and not raised.wait(PATIENCE):
            _leave_interrupted()

    previous = signal.signal(signal.SIGINT, handler)
    try:
        with _watched(watcher):
            yield
    finally:
        signal.signal(signal.SIGINT, previous)


@contextlib.contextmanager
def _watched(watcher: Callable[[int], None]) -> Iterator[None]:
    """A block in which a thread calls `watcher` with the number of every signal that
    has a handler, at once: the handler itself may have to wait for the main thread."""
    read_end, write_end = socket.socketpair()  # Windows has no such pipes.
    write_end.setblocking(False)
    previous = signal.set_wakeup_fd(write_end.fileno())

    def watch() -> None:
        with read_end:
            while number := read_end.recv(1):
                watcher(number[0])

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        write_end.close()  # which ends the thread


def _leave_interrupted() -> NoReturn:
    if _leaving.acquire(blocking=False):
        print("\ninterrupted; the same command continues", file=sys.stderr, flush=True)
    else:
        time.sleep(1)  # for the thread that is just printing
    os._exit(INTERRUPTED)


class Stopping:
    """A context in which signals ask for the end instead of being it.

    Whoever is in it looks at `asked` or `reason` after each step, or whatever else it
    is that must be whole. A second SIGINT exits at once, even in the middle of a
    compilation. With `jax.distributed`, SIGTERM stays JAX's, which tells all processes
    of it and finds a step after which all can end; the other signals are passed on as
    SIGTERM. Outside the main thread of a program, signals are left as they are.

    Args:
        what: that is finished first, in words.

    Attributes:
        reason: the name of the signal; None before there was one.
    """

    def __init__(self, what: str = "step") -> None:
        self.reason: str | None = None
        self._what: str | None = what
        self._together = jax.distributed.is_initialized()
        self._previous: dict[int, Any] = {}
        self._watch = contextlib.ExitStack()
        self._first = threading.Lock()  # taken by who hears the first signal first

    def __enter__(self) -> "Stopping":
        if threading.current_thread() is not threading.main_thread():
            return self
        signals = _signals()
        heard: list[int] = []
        told: list[int] = []

        def handler(number: int, frame: FrameType | None) -> None:
            self._hear(number, heard)

        def watcher(number: int) -> None:
            if number in signals:
                self._hear(number, told)

        self._previous = {s: signal.signal(s, handler) for s in signals}
        self._watch.enter_context(_watched(watcher))
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._watch.close()

    def _hear(self, number: int, heard: list[int]) -> None:
        """One signal, which the pipe and the handler both tell of, each once.

        An event loop takes the pipe's place while it runs; then the handler alone does.
        """
        heard.append(number)
        if heard.count(signal.SIGINT) > 1:
            _leave_interrupted()
        if self.reason is None and self._first.acquire(blocking=False):
            self.reason = name = signal.Signals(number).name
            again = "; once more exits at once" if name == "SIGINT" else ""
            after = f" after this {self._what}{again}" if self._what else ""
            tqdm.write(f"{name}: stopping{after}", file=sys.stderr)
            if self._together:
                os.kill(os.getpid(), signal.SIGTERM)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """A block that is left at once, by whoever finds that it `may_leave`.

        Not where several processes train as one: they must leave at the same step.
        """
        what = self._what
        self._what = what if self._together else None
        try:
            yield
        finally:
            self._what = what

    def may_leave(self) -> bool:
        """Whether a block of `at_once` should be left."""
        return self.reason is not None and not self._together

    def asked(self, step: int) -> bool:
        """Whether training should end after `step` finished steps."""
        notice = _preempted(step)
        if notice and self.reason is None:
            self.reason = "preemption"
        return notice if self._together else self.reason is not None


def _preempted(step: int) -> bool:
    """JAX's notice, on whose step all processes agree."""
    try:
        return multihost_utils.reached_preemption_sync_point(step)
    except RuntimeError:  # jax.distributed is not in use.
        return False
