"""What a result was made with: the same of all of it gives the same bits again."""

import os
import subprocess
from importlib.metadata import version

import jax

import rtil_jax

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


def versions() -> dict[str, str]:
    """The versions of this package and of those that compute."""
    return {"rtil_jax": rtil_jax.__version__} | {
        name: version(name) for name in PACKAGES
    }


def device() -> str:
    """How many devices of which kind, over all processes: `8 x NVIDIA H100 80GB`."""
    return f"{jax.device_count()} x {jax.devices()[0].device_kind}"


def revision() -> str:
    """The git commit of this package, `-dirty` if it was changed since; "" outside one.

    A package that is installed in somebody else's repository is not of its commit.
    """
    package = os.path.dirname(os.path.abspath(rtil_jax.__file__))
    git = ["git", "-C", package]
    try:
        known = subprocess.run(
            [*git, "ls-files", "--error-unmatch", "__init__.py"], capture_output=True
        )
        if known.returncode:
            return ""
        found = subprocess.run(
            [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
        )
    except OSError:  # no git
        return ""
    return found.stdout.strip()


def provenance(command: str) -> dict:
    """All of it, and the command line, for a `config.json`."""
    return {
        "command": command,
        "versions": versions(),
        "device": device(),
        "revision": revision(),
    }
