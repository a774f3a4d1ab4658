"""Shows progress: as a bar on a terminal, or as a line per minute in a log."""

import math
import sys
import time
from typing import Any

from tqdm import tqdm

SECONDS = 60  # between two lines of a log
LINE = "{desc}: {percentage:3.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}, "
LINE += "{rate_fmt}{postfix}]"


def progress(
    total: int, desc: str, *, unit: str = "it", initial: int = 0, disable: bool = False
) -> tqdm:
    """Returns a progress bar on stderr, a context manager; `update()` advances it.

    A log gets a line at the start, one per minute, and one at the end. Set postfixes
    with `refresh=False`.

    Args:
        total: the number of updates of the full bar.
        desc: the text before the bar.
        unit: the unit of the rate.
        initial: the number of updates at the start.
        disable: whether to show nothing.
    """
    options: dict[str, Any] = dict(
        total=total, desc=desc, unit=unit, initial=initial, disable=disable
    )
    if on_terminal():
        return tqdm(**options)
    times = {"mininterval": SECONDS, "maxinterval": SECONDS}
    return _Lines(**options, **times, bar_format=LINE)


def on_terminal() -> bool:
    """Tells whether stderr is a terminal or a notebook, where a line can be updated."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


class _Lines(tqdm):
    """A tqdm bar that prints separate lines."""

    _shown = -math.inf

    def refresh(self, *_: Any, **__: Any) -> None:
        # tqdm also calls it whenever another line was written.
        if time.monotonic() - self._shown >= SECONDS:
            self._shown = time.monotonic()
            self.display()

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        end = "\n" if pos is None else ""  # `close` names a position, and ends the line
        self.fp.write(f"{msg or self}{end}")
        self.fp.flush()

    def clear(self, *_: Any, **__: Any) -> None:
        """Does nothing, because lines stay."""
