"""The one exception that users see as a single line instead of a traceback."""


class UserError(ValueError):
    """Bad input: a file, flag or config field that cannot be used.

    The message is one line that names the thing, what was found and what was
    expected. `train.py` and `invert.py` print it and exit with a non-zero code.
    """
