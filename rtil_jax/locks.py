"""Locks between processes; the kernel lets go of them however a process ends."""

import contextlib
import functools
import logging
import os
import socket
from collections.abc import Iterator
from typing import IO

import filelock

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
        if not _locked(file, wait=False):
            raise UserError(
                f"--workdir: found {workdir} in use by {_owner(file)}, expected "
                f"one that no other run is writing to{hint and '; '}{hint}"
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

    Where a file system knows no locks, several may be in it.

    Raises:
        OSError: if `path` cannot be written.
    """
    with _newest(path):
        try:
            yield
        finally:
            # Windows removes no file that others have open; the last of them does.
            with contextlib.suppress(OSError):
                os.remove(path)


def _newest(path: str) -> IO:
    """`path`, locked: not a file that its last owner has removed meanwhile."""
    while True:
        file = open(path, "a")
        try:
            locked_here = _locked(file, wait=True)
            with contextlib.suppress(FileNotFoundError):
                same = os.path.samestat(os.fstat(file.fileno()), os.stat(path))
                if locked_here and same:
                    return file
        except BaseException:
            file.close()
            raise
        file.close()


def hold(path: str) -> IO:
    """A lock file that this process owns until it is closed, or the process ends."""
    file = open(path, "a")
    _locked(file, wait=True)
    return file


def is_free(path: str) -> bool:
    """Whether no process owns the lock file `path`, as far as locks are known here."""
    try:
        with open(path, "a") as file:
            return bool(filelock.lock_descriptor(file.fileno(), blocking=False))
    except OSError:
        return False


def _locked(file: IO, wait: bool) -> bool:
    """Whether `file` is this process's now; where there are no locks, it is."""
    try:
        return bool(filelock.lock_descriptor(file.fileno(), blocking=wait))
    except OSError as error:  # some network file systems; systems without `fcntl`
        _warn_once(os.path.dirname(file.name), error.strerror)
        return True


@functools.cache
def _warn_once(directory: str, reason: str | None) -> None:
    logging.getLogger("rtil_jax").warning(
        "%s: no locks here (%s); take care to start no second run", directory, reason
    )


def _owner(file: IO) -> str:
    """What the owner has written into its file."""
    try:
        file.seek(0)
        return f"process {file.read()}"
    except OSError:  # Windows lets no other process read it.
        return "another process"
