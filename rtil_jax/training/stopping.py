"""Stopping between two steps: signals, and JAX's notice that a machine is needed.

SIGTERM and SIGUSR1 are what SLURM sends before it takes the machines away (`sbatch
--signal=USR1@120`), SIGINT is Ctrl-C.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import jax
from jax.experimental import multihost_utils
from tqdm import tqdm


@contextlib.contextmanager
def nothing_to_save() -> Iterator[None]:
    """A context before the first step, in which signals end the process well, at once.

    With `jax.distributed`, SIGTERM stays JAX's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number, frame):
        name = signal.Signals(number).name
        print(
            f"{name}: stopped before the first step; the same command starts anew",
            file=sys.stderr,
        )
        sys.exit(0)

    previous = {number: signal.signal(number, leave) for number in _signals()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _signals() -> list[int]:
    """That ask for the end, of which `jax.distributed` handles SIGTERM itself."""
    names = ["SIGINT", "SIGUSR1"]  # Windows has no SIGUSR1.
    names += [] if jax.distributed.is_initialized() else ["SIGTERM"]
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


class Stopping:
    """A context in which signals ask for the end instead of being it.

    A second SIGINT exits at once, even in the middle of a compilation, during which
    Python runs no signal handlers: a thread reads the numbers of signals from a socket.
    With `jax.distributed`, SIGTERM stays JAX's, which tells all processes of it and
    finds a step after which all can end; the other signals are passed on as SIGTERM.
    Outside the main thread of a program, signals are left as they are.

    Attributes:
        reason: the name of the signal; None before there was one.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._together = jax.distributed.is_initialized()
        self._previous: dict[int, Any] = {}
        self._wakeup = -1  # no file
        self._socket: socket.socket | None = None

    def __enter__(self) -> "Stopping":
        if threading.current_thread() is not threading.main_thread():
            return self
        signals = _signals()
        read_end, self._socket = socket.socketpair()  # Windows has no such pipes.
        self._socket.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._socket.fileno())
        heard: list[int] = []

        def handler(number, frame):
            self._hear(number, heard)

        self._previous = {s: signal.signal(s, handler) for s in signals}
        arguments = (read_end, signals)
        threading.Thread(target=self._watch, args=arguments, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if self._socket is not None:
            signal.set_wakeup_fd(self._wakeup)
            self._socket.close()  # which ends the thread

    def _watch(self, read_end: socket.socket, signals: list[int]) -> None:
        heard: list[int] = []
        with read_end:
            while number := read_end.recv(1):
                if number[0] in signals:
                    self._hear(number[0], heard)

    def _hear(self, number: int, heard: list[int]) -> None:
        """One signal, which the socket and the handler both tell of, each once.

        An event loop takes the socket's place while it runs; then only the handler
        does.
        """
        heard.append(number)
        if heard.count(signal.SIGINT) > 1:
            print("\ninterrupted; the same command continues", file=sys.stderr)
            os._exit(128 + signal.SIGINT)
        if self.reason is None:
            self.reason = name = signal.Signals(number).name
            again = "; once more exits at once" if name == "SIGINT" else ""
            tqdm.write(f"{name}: stopping after this step{again}", file=sys.stderr)
            if self._together:
                os.kill(os.getpid(), signal.SIGTERM)

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
