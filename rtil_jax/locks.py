"""Locks between processes, which the operating system releases when a process ends."""

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
    """Owns the lock `name` in `workdir` for a block, so that no other process can.

    A file that a killed process has left does not lock anything.

    Args:
        workdir: the directory.
        name: the name of the lock, which is a file in the directory.
        hint: what to do if another process owns it, for the error.

    Raises:
        UserError: if another process owns it (the error has its id), or the file cannot
            be written.
    """
    path = os.path.join(workdir, name)
    try:
        file = open(path, "a+")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    with file:
        if not _locked(file, wait=False):
            raise UserError(
                f"--workdir: found {workdir} in use by {_owner(file)}, expected a "
                f"directory that no other run uses{hint and '; '}{hint}"
            )
        file.truncate(0)
        owner = f"{os.getpid()} on {socket.gethostname()}"
        with contextlib.suppress(OSError):  # a full disk; the lock works without it
            print(owner, end="", file=file, flush=True)
        yield
        file.truncate(0)


@contextlib.contextmanager
def waiting(path: str) -> Iterator[None]:
    """Runs a block in one process at a time; the file `path` exists only meanwhile.

    On file systems without locks, several processes may run it together.

    Raises:
        OSError: if `path` cannot be written.
    """
    with _newest(path):
        try:
            yield
        finally:
            # Windows cannot remove a file that others have open; the last one does it.
            with contextlib.suppress(OSError):
                os.remove(path)


def _newest(path: str) -> IO:
    """Locks `path`, and makes sure that its last owner has not removed it meanwhile."""
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
    """Opens a lock file that this process owns until it closes the file, or ends."""
    file = open(path, "a")
    _locked(file, wait=True)
    return file


def is_free(path: str) -> bool:
    """Tells whether no process owns the lock file `path`, if locks work here."""
    try:
        with open(path, "a") as file:
            return bool(filelock.lock_descriptor(file.fileno(), blocking=False))
    except OSError:
        return False


def _locked(file: IO, wait: bool) -> bool:
    """Tries to lock a file; tells whether it worked, or locks do not exist here."""
    try:
        return bool(filelock.lock_descriptor(file.fileno(), blocking=wait))
    except OSError as error:  # some network file systems, systems without `fcntl`
        _warn_once(os.path.dirname(file.name), error.strerror)
        return True


@functools.cache
def _warn_once(directory: str, reason: str | None) -> None:
    logging.getLogger("rtil_jax").warning(
        "%s: locks do not work here (%s); do not start a second run", directory, reason
    )


def _owner(file: IO) -> str:
    """Reads what the owner has written into its file."""
    try:
        file.seek(0)
        return f"process {file.read()}"
    except OSError:  # On Windows no other process can read it.
        return "another process"
