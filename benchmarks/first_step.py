r"""Times an inversion's start up to its first step, with and without compilation cache.

    python -m benchmarks.first_step --config configs/invert/ilo.py:short \
        --config.priors.rtil=DIR --config.images.count=8

starts `invert.py` with these flags, in an empty directory each time, and ends it once
its progress bar counts the first step: from the start of Python to there, as a user
waits for it. First with an empty compilation cache, then with the one that this left.
CPU seconds are those of all threads, and steadier on a machine with other work.
"""

import os
import pty
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import termios
import time

from benchmarks.timing import table

ROUNDS = 3
STEPPED = re.compile(rb" [1-9]\d*/\d+ \[")


def first_step(flags: list[str], cache: str) -> tuple[float, float]:
    """(wall seconds, CPU seconds) until the first step of a fresh process."""
    before, start = children_seconds(), time.perf_counter()
    with tempfile.TemporaryDirectory() as workdir:
        command = [sys.executable, "invert.py", *flags, "--workdir", f"{workdir}/new"]
        environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": cache}
        terminal, stderr = pty.openpty()  # a log would get a line a minute
        termios.tcsetwinsize(terminal, (24, 100))  # a bar needs columns
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=stderr
        )
        os.close(stderr)
        said = b""
        while not STEPPED.search(said):
            try:
                said += os.read(terminal, 65536)
            except OSError:  # it has ended
                sys.exit(said.decode())
        wall = time.perf_counter() - start
        process.kill()
        process.wait()
        os.close(terminal)
    return wall, children_seconds() - before


def children_seconds() -> float:
    """CPU seconds of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    rows = {"empty": [], "full": []}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as cache:
            for name in rows:
                rows[name].append(first_step(sys.argv[1:], cache))
    medians = [
        [name, *(f"{statistics.median(one):.1f}" for one in zip(*seconds, strict=True))]
        for name, seconds in rows.items()
    ]
    print(table(["compilation cache", "wall s", "CPU s"], medians))


if __name__ == "__main__":
    main()
