"""Measures how long something took, without the time in which JAX compiled."""

import functools
import time
from collections.abc import Iterable

import jax

_COMPILING = "/jax/core/compile/"  # tracing, lowering, and XLA or its cache on disk
_running: set["Stopwatch"] = set()


class Stopwatch:
    """A context that measures the time spent in it, except on compiling.

    It does not count work that a device does while something compiles, so wait for the
    device first.

    Attributes:
        seconds: the measured time, after leaving the context.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._compiled: list[tuple[float, float]] = []

    def __enter__(self) -> "Stopwatch":
        _listen()
        _running.add(self)
        self._started = time.time()  # JAX's clock
        self._at = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        whole = time.perf_counter() - self._at
        _running.discard(self)
        within = [(max(first, self._started), last) for first, last in self._compiled]
        self.seconds = max(whole - covered(within), 0.0)

    def heard(self, first: float, last: float) -> None:
        """Notes that something was compiled between two times, in any thread."""
        self._compiled.append((first, last))


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Returns the total length that spans cover; they may overlap."""
    total, end = 0.0, float("-inf")
    for first, last in sorted(spans):
        total += max(last - max(first, end), 0.0)
        end = max(end, last)
    return total


@functools.cache
def _listen() -> None:
    """Registers, once, a listener that JAX informs of everything that it compiles."""

    def compiled(
        event: str, start_time: float, end_time: float, **_: str | int
    ) -> None:
        if event.startswith(_COMPILING):
            for stopwatch in list(_running):
                stopwatch.heard(start_time, end_time)

    jax.monitoring.register_event_time_span_listener(compiled)
