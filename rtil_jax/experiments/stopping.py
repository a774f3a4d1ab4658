"""Stops a run between two steps or batches, after a signal or JAX's preemption notice.

SLURM sends SIGTERM and SIGUSR1 before it takes the machines away (`sbatch
--signal=USR1@120`). SIGINT is Ctrl-C.
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
# Two threads notice a signal, but only one reports it.
_leaving = threading.Lock()


@contextlib.contextmanager
def nothing_to_save(*names: str) -> Iterator[None]:
    """Lets signals end the process at once and cleanly, before the first step.

    With `jax.distributed`, JAX handles SIGTERM itself.

    Args:
        names: the signals, such as "SIGTERM"; without names, all that ask to stop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        name = signal.Signals(number).name
        print(
            f"{name}: stopped before the first step; the same command starts anew",
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
    """Returns the signals that ask a run to stop.

    SIGTERM is not among them with `jax.distributed`, which handles it.
    """
    names = ["SIGINT", "SIGUSR1"]  # Windows has no SIGUSR1.
    names += [] if jax.distributed.is_initialized() else ["SIGTERM"]
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Lets Ctrl-C end a block by KeyboardInterrupt.

    During a long call into compiled code Python cannot raise it; then the process ends.
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
    """Runs a block with a thread that calls `watcher` at once for every handled signal.

    The handlers themselves may have to wait for the main thread.
    """
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
        write_end.close()  # ends the thread


def _leave_interrupted() -> NoReturn:
    if _leaving.acquire(blocking=False):
        print("\ninterrupted; the same command continues", file=sys.stderr, flush=True)
    else:
        time.sleep(1)  # another thread is printing
    os._exit(INTERRUPTED)


class Stopping:
    """A context in which signals ask a run to stop, instead of ending the process.

    The run checks `asked` or `reason` after each step or batch. A second SIGINT exits
    at once, even in the middle of a compilation. With `jax.distributed`, JAX handles
    SIGTERM: it tells all processes, and finds a step after which all can stop. Other
    signals are passed on as SIGTERM. Outside the main thread, signals are not changed.

    Args:
        what: what is finished first, such as "step".

    Attributes:
        reason: the name of the signal; None before a signal.
    """

    def __init__(self, what: str = "step") -> None:
        self.reason: str | None = None
        self._what: str | None = what
        self._together = jax.distributed.is_initialized()
        self._previous: dict[int, Any] = {}
        self._watch = contextlib.ExitStack()
        self._first = threading.Lock()  # taken by the thread that reports a signal

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
        """Counts a signal, which the pipe and the handler both report, each once.

        While an event loop runs, it replaces the pipe; then only the handler reports.
        """
        heard.append(number)
        if heard.count(signal.SIGINT) > 1:
            _leave_interrupted()
        if self.reason is None and self._first.acquire(blocking=False):
            self.reason = name = signal.Signals(number).name
            again = "; press Ctrl-C again to exit at once" if name == "SIGINT" else ""
            after = f" after this {self._what}{again}" if self._what else ""
            tqdm.write(f"{name}: stopping{after}", file=sys.stderr)
            if self._together:
                os.kill(os.getpid(), signal.SIGTERM)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Runs a block that may be left at once; code in it checks `may_leave`.

        Processes that train together never leave at once, because they must all stop
        after the same step.
        """
        what = self._what
        self._what = what if self._together else None
        try:
            yield
        finally:
            self._what = what

    def may_leave(self) -> bool:
        """Tells whether to leave a block of `at_once`."""
        return self.reason is not None and not self._together

    def asked(self, step: int) -> bool:
        """Tells whether training should stop after `step` finished steps."""
        notice = _preempted(step)
        if notice and self.reason is None:
            self.reason = "preemption"
        return notice if self._together else self.reason is not None


def _preempted(step: int) -> bool:
    """Tells whether JAX has noticed a preemption; all processes agree on the step."""
    try:
        return multihost_utils.reached_preemption_sync_point(step)
    except RuntimeError:  # jax.distributed is not used.
        return False
