"""Finds the folder of a prior, also of `pretrained:NAME`."""

import os
from typing import Any

from rtil_jax.errors import UserError, did_you_mean
from rtil_jax.files import local_path
from rtil_jax.priors.packed import is_packed

PREFIX = "pretrained:"
ROOT = os.path.join(os.path.dirname(__file__), "packaged")
EXPECTED = "a directory that train.py has written, or pretrained:NAME"
# Extensions of other programs' files with networks.
NETWORK_FILES = (".pt", ".pth", ".pkl", ".ckpt", ".bin", ".safetensors")


def names() -> list[str]:
    """Returns the names of the packaged priors, sorted."""
    return sorted(n for n in os.listdir(ROOT) if is_packed(os.path.join(ROOT, n)))


def locate(source: Any, field: str = "prior") -> str:
    """Returns the folder of a prior: that of `pretrained:NAME`, or the directory.

    Args:
        source: `pretrained:NAME` or a directory.
        field: the name of the source in an error.

    Raises:
        UserError: if the directory or the packaged prior does not exist; the message
            suggests a similar name.
    """
    if isinstance(source, str | os.PathLike):
        scheme, colon, name = str(source).partition(":")
        if scheme + colon == PREFIX:
            return _packaged(name, field)
    path = local_path(source, field)
    if os.path.isdir(path):
        return path
    if os.path.exists(path):
        hint = ""
        if path.lower().endswith(NETWORK_FILES):
            hint = f"; convert it by rtil convert {path} --to DIR"
        raise UserError(f"{field}: found the file {path!r}, expected {EXPECTED}{hint}")
    near = did_you_mean(os.path.basename(path.rstrip("/\\")), names(), PREFIX)
    raise UserError(
        f"{field}: found {path!r}, which does not exist, expected {EXPECTED}{near}"
    )


def _packaged(name: str, field: str) -> str:
    known = names()
    if name not in known:
        expected = (
            f"one of {', '.join(known)}" if known else "none (no prior is packaged)"
        )
        raise UserError(
            f"{field}: found '{PREFIX}{name}', expected {expected}"
            f"{did_you_mean(name, known, PREFIX)}"
        )
    return os.path.join(ROOT, name)
