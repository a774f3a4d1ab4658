"""How every benchmark here measures: contenders in turn, ratios round by round.

A machine that other programs share is faster at one minute than at the next, so a
time by itself says little. Contenders therefore take turns within one process: a round
calls each of them once, and a ratio is taken of two calls of the same round, which lie
next to each other in time. What is reported is the median of a round's ratio over the
rounds with its quartiles. The first call, which compiles, is reported apart; warm-up
calls after it are not reported.
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
        seconds: of each round's call, divided by what one call processes.
    """

    first: float
    seconds: np.ndarray

    @property
    def milliseconds(self) -> float:
        """Of the median round, per thing processed."""
        return 1e3 * float(np.median(self.seconds))


def seconds_of(call: Callable[[], None]) -> float:
    """How long one call takes; it must not return before its result is there."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


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
    first = {name: seconds_of(call) for name, (call, _) in contenders.items()}
    for _ in range(warm_up - 1):
        for call, _ in contenders.values():
            call()
    seconds = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, (call, count) in contenders.items():
            seconds[name].append(seconds_of(call) / count)
    return {name: Timing(first[name], np.array(seconds[name])) for name in contenders}


def ratio(slow: Timing, fast: Timing) -> str:
    """How many times longer `slow` takes: `median (quartile to quartile)`."""
    low, median, high = np.percentile(slow.seconds / fast.seconds, [25, 50, 75])
    return f"{median:.2f} ({low:.2f} to {high:.2f})"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
