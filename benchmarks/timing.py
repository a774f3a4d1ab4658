"""Times functions in turn and compares them round by round, for all benchmarks here.

A machine that other programs share is faster at one minute than at the next, so a
time by itself says little. Contenders therefore take turns within one process: a round
calls each of them once, and a ratio is taken of two calls of the same round, which lie
next to each other in time. What is reported is the median of a round's ratio over the
rounds with its quartiles. The first call, which compiles, is reported apart; warm-up
calls after it are not reported.

Two clocks run: the wall's, and the CPU seconds of all threads of the process. Where
other programs fill the cores, the wall's clock punishes whoever must wait for its
slowest thread, and only the second one says how much work there was.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Timing:
    """One contender's times.

    Attributes:
        first: seconds of the first call, compilation included.
        wall: seconds of each round's call, divided by what one call processes.
        cpu: CPU seconds of all threads, likewise.
    """

    first: float
    wall: np.ndarray
    cpu: np.ndarray


def seconds_of(call: Callable[[], None]) -> tuple[float, float]:
    """(wall, CPU) seconds of one call, which must wait for its own result."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def quickest(call: Callable[[], None], calls: int) -> float:
    """Wall seconds of the quickest of so many calls after a first one."""
    call()
    return min(seconds_of(call)[0] for _ in range(calls))


def milliseconds(seconds: np.ndarray) -> str:
    """The median, in milliseconds."""
    median = 1e3 * np.median(seconds)
    return f"{median:.1f}" if median >= 10 else f"{median:.2f}"


def alternate(
    contenders: dict[str, tuple[Callable[[], None], int]],
    rounds: int,
    warm_up: int = 2,
) -> dict[str, Timing]:
    """Times contenders in turn.

    Args:
        contenders: name -> (a call that waits for its own result, how many things --
            image-steps, images -- one call processes).
        rounds: calls of each that count.
        warm_up: calls of each before that, the first of which is reported apart.
    """
    first = {name: seconds_of(call)[0] for name, (call, _) in contenders.items()}
    for _ in range(warm_up - 1):
        for call, _ in contenders.values():
            call()
    clocks = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, (call, count) in contenders.items():
            clocks[name].append(np.array(seconds_of(call)) / count)
    return {
        name: Timing(first[name], *np.transpose(clocks[name])) for name in contenders
    }


def ratio(slow: np.ndarray, fast: np.ndarray) -> str:
    """Of two contenders' seconds, round by round: `median (quartile to quartile)`."""
    low, median, high = np.percentile(slow / fast, [25, 50, 75])
    return f"{median:.2f} ({low:.2f} to {high:.2f})"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
