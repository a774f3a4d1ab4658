"""`UserError`, the exception that users see as a single line without a traceback."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """An error in a user's input: a file, flag, argument or config field.

    The message is one line that names the input, what was found and what was expected.
    The command line prints it and exits with a non-zero code.
    """


def did_you_mean(name: object, known: Iterable[str], prefix: str = "") -> str:
    """Suggests a known name for a misspelt one: returns `; did you mean NAME?` or "".

    Args:
        name: the unknown name.
        known: the known names.
        prefix: what precedes the suggested name.
    """
    near = difflib.get_close_matches(str(name), list(known), 1)
    return f"; did you mean {prefix}{near[0]}?" if near else ""
