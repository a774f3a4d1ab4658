"""Locks between processes; the kernel lets go of them however a process ends."""

import contextlib
import fcntl
import logging
import os
import socket
from collections.abc import Iterator

from rtil_jax.errors import UserError


@contextlib.contextmanager
def owned(workdir: str, name: str = "lock", hint: str = "") -> Iterator[None]:
    """A block in which no other process can own `name` in `workdir`.

    What a killed one leaves in the file means nothing.

    Args:
        workdir: the directory.
        name: of the lock, a file in it.
        hint: what to do instead, where another process has it.

    Raises:
        UserError: if another process has it, with that process's id; if it cannot be
            written.
    """
    path = os.path.join(workdir, name)
    try:
        file = open(path, "a+")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise UserError(
                f"--workdir: found {workdir} in use by process {file.read()}, expected "
                f"one that no other run is writing to{hint and '; '}{hint}"
            ) from error
        except OSError as error:  # some network file systems
            logging.getLogger("rtil_jax").warning(
                "%s: no locks here (%s); take care to start no second run",
                workdir,
                error.strerror,
            )
        file.truncate(0)
        owner = f"{os.getpid()} on {socket.gethostname()}"
        with contextlib.suppress(OSError):  # a full disk; the lock holds without it
            print(owner, end="", file=file, flush=True)
        yield
        file.truncate(0)


@contextlib.contextmanager
def waiting(path: str) -> Iterator[None]:
    """A block that one process at a time is in; `path` is there only meanwhile.

    Where a file system knows no locks, or one process has just ended and others were
    waiting, two may be in it: it saves work, and must not be what makes it right.
    """
    with open(path, "a") as file:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
