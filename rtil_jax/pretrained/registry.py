"""From `pretrained:NAME` to a folder."""

import os

from rtil_jax.errors import UserError
from rtil_jax.pretrained.packed import is_packed

PREFIX = "pretrained:"
ROOT = os.path.dirname(__file__)


def names() -> list[str]:
    """Of the priors that there are."""
    return sorted(n for n in os.listdir(ROOT) if is_packed(os.path.join(ROOT, n)))


def locate(source: str) -> str:
    """The folder of `pretrained:NAME`; any other source is a directory, as it is.

    Raises:
        UserError: if there is no prior of that name.
    """
    if not source.startswith(PREFIX):
        return source
    known, name = names(), source.removeprefix(PREFIX)
    if name not in known:
        expected = f"one of {', '.join(known)}" if known else "none, for there are none"
        raise UserError(f"{PREFIX}NAME: found {name!r}, expected {expected}")
    return os.path.join(ROOT, name)
