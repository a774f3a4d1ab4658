"""Orbax, imported when it is first needed, and silent.

Orbax logs, thread by thread and with their tracebacks, the errors that it also raises,
and warns, whenever names are read, that a config is no tree of arrays. The event loops
that an error has ended echo it. And its first message, which comes while it is
imported, makes absl give the root logger a handler.
"""

import contextlib
import functools
import logging
import re
from collections.abc import Iterator
from typing import Any

# Orbax's, which is slow to import and so is imported only when needed.
Checkpointer = Any

_ECHO = re.compile("Event loop is closed|never retrieved|destroyed but it is pending")


def _is_other(record: logging.LogRecord) -> bool:
    return "orbax" not in record.pathname


def _is_no_echo(record: logging.LogRecord) -> bool:
    return not _ECHO.search(f"{record.getMessage()} {record.exc_info}")


_FILTERS = {
    "absl": _is_other,
    "asyncio": _is_no_echo,
    "concurrent.futures": _is_no_echo,
}


def orbax() -> Any:
    """Orbax's module `v1`, the current interface."""
    with quiet():
        from orbax.checkpoint import v1
    return v1


def silence_orbax() -> None:
    """Leaves Orbax's messages out for good: for a program, not for a library."""
    for name, keep in _FILTERS.items():
        logging.getLogger(name).addFilter(keep)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """A block without Orbax's messages; logging is as before once it ends."""
    # Of each block its own, because blocks may overlap.
    filters = [
        (logging.getLogger(name), functools.partial(keep))
        for name, keep in _FILTERS.items()
    ]
    for logger, keep in filters:
        logger.addFilter(keep)
    handled = bool(logging.root.handlers)
    try:
        yield
    finally:
        for logger, keep in filters:
            logger.removeFilter(keep)
        for handler in [] if handled else list(logging.root.handlers):
            if _is_basic(handler):
                logging.root.removeHandler(handler)


def _is_basic(handler: logging.Handler) -> bool:
    """Whether it is the one that `logging.basicConfig()`, as absl calls it, makes."""
    form = handler.formatter._fmt if handler.formatter else None
    return type(handler) is logging.StreamHandler and form == logging.BASIC_FORMAT
