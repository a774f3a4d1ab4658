"""Training with several processes together, on several machines or one per device.

Every process runs the same program on its own part of each batch. Process 0 leads: it
alone owns the directory of the run, prints, and writes metrics, pictures and config.
If one process sees something that the others do not (a damaged file, a signal), all
must decide together what to do, because they must still run the same programs.
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

# Seconds that processes wait for each other at the start; the default of JAX.
TIMEOUT = 300
# Words in the errors of XLA, its collectives and coordination when a process is lost.
_LOST = re.compile("gloo|nccl|connection|coordination|heartbeat|barrier|peer", re.I)


@contextlib.contextmanager
def joined(
    automatic: bool = False,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process: int | None = None,
) -> Iterator[None]:
    """Joins this process with others for a block, if any argument asks for it.

    Enter it before anything uses a device. On CPUs the collectives are gloo's, the
    default of JAX. A process that fails inside the block exits at once, with code 1,
    because Python would let it wait for the others, which wait for it.

    Args:
        automatic: take the processes from the environment: SLURM, TPU, Open MPI or
            another cluster that JAX knows.
        coordinator: `HOST:PORT` on which process 0 listens. It and the next two
            arguments go together.
        num_processes: the number of processes.
        process: the number of this process, from 0.

    Raises:
        UserError: if the arguments do not fit each other, or JAX finds no cluster.
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
    """Raises UserError if an argument is missing or out of range."""
    if coordinator is None or count is None or process is None:
        flags = {"coordinator": coordinator, "num_processes": count, "process": process}
        missing = next(name for name, value in flags.items() if value is None)
        raise UserError(
            f"command line: found no --{missing}, expected --coordinator HOST:PORT "
            "--num_processes N --process I together, or none of these flags"
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
    """Connects to all processes; ends this one if they do not come in time."""
    where = coordinator or "the coordinator"

    def give_up() -> None:
        print(
            f"error: --distributed: found that not all processes reached {where} "
            f"within {TIMEOUT} seconds, expected all of them to start and connect",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)

    # JAX's own timeout aborts the process with a stack trace; ours comes first.
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
    # Gloo allows 30 seconds between the first collectives of two processes, and any
    # time for later ones. So the first is here, where all come at the same time.
    multihost_utils.sync_global_devices("joined")
    watch.cancel()
    if not is_lead():  # its warnings would repeat those of process 0
        logging.getLogger("rtil_jax").setLevel(logging.ERROR)


def _leave(error: Exception) -> None:
    """Prints what happened and ends the process."""
    text = " ".join(str(error).split())
    if isinstance(error, UserError):
        print(f"error: {text}", file=sys.stderr)
    elif _LOST.search(text):
        print(
            f"error: process {jax.process_index()} has lost another process "
            f"({text[:200]}); the same commands continue from the last checkpoint",
            file=sys.stderr,
        )
    else:
        traceback.print_exception(error)
    sys.stdout.flush()
    sys.stderr.flush()
    if is_lead():
        time.sleep(2)  # The others end with it, and may have to print something first.
    os._exit(1)


def is_lead() -> bool:
    """Tells whether this is process 0, or the only process."""
    return jax.process_index() == 0


def say(text: str) -> None:
    """Prints a line in process 0 only."""
    if is_lead():
        print(text, flush=True)


def require_alike(what: str, value: str) -> None:
    """Raises UserError in all processes if their values differ.

    It waits until all processes have called it.
    """
    if jax.process_count() == 1:
        return
    sums = multihost_utils.process_allgather(np.uint32(zlib.crc32(value.encode())))
    if (others := np.flatnonzero(sums != sums[0])).size:
        raise UserError(
            f"{what}: found a difference between process {others[0]} and process 0, "
            "expected the same in all processes"
        )


def agreed(problem: str | None) -> str | None:
    """Returns a problem in all processes if one has it; waits for all processes."""
    if jax.process_count() == 1:
        return problem
    found = multihost_utils.process_allgather(np.int32(problem is not None))
    if found.any() and problem is None:
        problem = f"process {found.argmax()} found the problem"
    return problem


def wait_for_all(where: str) -> None:
    """Waits until all processes have called it."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(where)
