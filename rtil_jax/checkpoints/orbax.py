"""Imports Orbax when it is first needed, and silences its log.

Orbax logs the errors that it also raises, for each thread and with tracebacks. It warns
whenever names are read that a config is not a tree of arrays. Event loops that an error
has ended repeat it. And its first message, during import, makes absl add a handler to
the root logger.
"""

import contextlib
import functools
import logging
import re
from collections.abc import Iterator
from typing import Any

# A class of Orbax, which is slow to import and so is imported only when needed.
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
    """Returns Orbax's module `v1`, its current interface."""
    with quiet():
        from orbax.checkpoint import v1
    return v1


def silence_orbax() -> None:
    """Silences Orbax for the rest of the process; for programs, not for a library."""
    for name, keep in _FILTERS.items():
        logging.getLogger(name).addFilter(keep)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences Orbax in its block; afterwards logging is as before."""
    # Each block has its own filter, because blocks may overlap.
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
    """Tells whether absl's call of `logging.basicConfig()` made this handler."""
    form = handler.formatter._fmt if handler.formatter else None
    return type(handler) is logging.StreamHandler and form == logging.BASIC_FORMAT
