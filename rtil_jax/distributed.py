"""Several processes that train as one: on several machines, or one for each device.

Every process runs the same program on its own part of each batch. Process 0 leads: it
alone owns the directory of the run, prints, and writes metrics, pictures and config.
What a process decides by what it alone has seen (a damaged file, a signal) must be
decided by all together, because from there on they must run the same programs.
"""

import contextlib
import logging
import os
import re
import sys
import threading
import time
import traceback
import zlib
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

from rtil_jax.errors import UserError

# Seconds that processes wait for each other at the start; JAX's own default.
TIMEOUT = 300
# What XLA, its collectives and its coordination service say when a process has gone.
_LOST = re.compile("gloo|nccl|connection|coordination|heartbeat|barrier|peer", re.I)


@contextlib.contextmanager
def joined(
    automatic: bool = False,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process: int | None = None,
) -> Iterator[None]:
    """A block in which this process is one of several, if any argument asks for that.

    It comes before anything that uses a device. The collectives of CPUs are gloo's, as
    is JAX's default. A process that fails inside leaves at once, with exit code 1:
    Python would have it wait for the others, which wait for it.

    Args:
        automatic: ask the environment: SLURM, TPU, Open MPI and what else JAX knows.
        coordinator: `HOST:PORT` on which process 0 listens. This and the next two go
            together.
        num_processes: how many there are.
        process: which one this is, from 0.

    Raises:
        UserError: for arguments that do not fit each other, and if JAX finds no
            cluster.
    """
    by_hand = (coordinator, num_processes, process)
    if not automatic and by_hand == (None, None, None):
        yield
        return
    if by_hand != (None, None, None):
        _check(*by_hand)
    _connect(*by_hand)
    try:
        yield
    except Exception as error:
        _leave(error)


def _check(coordinator: str | None, count: int | None, process: int | None) -> None:
    """Raises UserError unless all are there and make sense."""
    if coordinator is None or count is None or process is None:
        flags = {"coordinator": coordinator, "num_processes": count, "process": process}
        missing = next(name for name, value in flags.items() if value is None)
        raise UserError(
            f"command line: found no --{missing}, expected --coordinator HOST:PORT "
            "--num_processes N --process I together, or none of them"
        )
    if not re.fullmatch(r".+:\d+", coordinator):
        raise UserError(f"--coordinator: found {coordinator!r}, expected HOST:PORT")
    if count < 1:
        raise UserError(f"--num_processes: found {count}, expected at least 1")
    if not 0 <= process < count:
        raise UserError(
            f"--process: found {process}, expected 0 to {count - 1}, because "
            f"--num_processes is {count}"
        )


def _connect(coordinator: str | None, count: int | None, process: int | None) -> None:
    """Returns once all processes are there; ends this one if they do not come."""
    where = coordinator or "the coordinator"

    def give_up() -> None:
        print(
            f"error: --distributed: some processes did not reach {where} within "
            f"{TIMEOUT} seconds, expected all of them to be started and to reach it",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)

    # JAX's own timeout aborts the process with a stack trace; this one comes before it.
    watch = threading.Timer(TIMEOUT, give_up)
    watch.daemon = True
    watch.start()
    try:
        jax.distributed.initialize(
            coordinator, count, process, initialization_timeout=2 * TIMEOUT
        )
    except (ValueError, RuntimeError) as error:
        watch.cancel()
        raise UserError(
            f"--distributed: found no cluster that JAX knows ({error}), expected "
            "--coordinator HOST:PORT --num_processes N --process I"
        ) from error
    # Gloo allows 30 seconds from one process's first collective to another's, and any
    # time for later ones: the first is here, where all come at the same time.
    multihost_utils.sync_global_devices("joined")
    watch.cancel()
    if not is_lead():  # it would be the same warnings once more
        logging.getLogger("rtil_jax").setLevel(logging.ERROR)


def _leave(error: Exception) -> None:
    """Says what happened and ends the process."""
    text = " ".join(str(error).split())
    if isinstance(error, UserError):
        print(f"error: {text}", file=sys.stderr)
    elif _LOST.search(text):
        print(
            f"error: process {jax.process_index()} has lost another one ({text[:200]}"
            "); the same commands continue from the last checkpoint",
            file=sys.stderr,
        )
    else:
        traceback.print_exception(error)
    sys.stdout.flush()
    sys.stderr.flush()
    if is_lead():
        time.sleep(2)  # The others end with it, and may have something to say first.
    os._exit(1)


def is_lead() -> bool:
    """Whether this is process 0, or the only one."""
    return jax.process_index() == 0


def say(text: str) -> None:
    """Prints a line, once for all processes."""
    if is_lead():
        print(text, flush=True)


def require_alike(what: str, value: str) -> None:
    """Raises UserError in all processes if one of them has another value.

    Returns once all have come here.
    """
    if jax.process_count() == 1:
        return
    sums = multihost_utils.process_allgather(np.uint32(zlib.crc32(value.encode())))
    if (others := np.flatnonzero(sums != sums[0])).size:
        raise UserError(
            f"{what}: found another in process {others[0]} than in process 0, expected "
            "the same in all of them"
        )


def agreed(problem: str | None) -> str | None:
    """A problem in all processes if one of them has one; returns once all came here."""
    if jax.process_count() == 1:
        return problem
    found = multihost_utils.process_allgather(np.int32(problem is not None))
    if found.any() and problem is None:
        problem = f"process {found.argmax()} found it so"
    return problem


def wait_for_all(where: str) -> None:
    """Returns once all processes have come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(where)
