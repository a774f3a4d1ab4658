"""The one exception that users see as a single line instead of a traceback."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input: a file, flag or config field that cannot be used.

    The message is one line that names the thing, what was found and what was
    expected. `train.py` and `invert.py` print it and exit with a non-zero code.
    """


def did_you_mean(name: object, known: Iterable[str], prefix: str = "") -> str:
    """`; did you mean PREFIX + one of KNOWN?`, or nothing if none is near."""
    near = difflib.get_close_matches(str(name), list(known), 1)
    return f"; did you mean {prefix}{near[0]}?" if near else ""
