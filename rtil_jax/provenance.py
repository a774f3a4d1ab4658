"""Records what a result was made with: versions, devices, revision and command."""

import os
import subprocess
from importlib.metadata import version

import jax

import rtil_jax

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


def versions() -> dict[str, str]:
    """Returns the versions of this package and of the packages that compute."""
    return {"rtil_jax": rtil_jax.__version__} | {
        name: version(name) for name in PACKAGES
    }


def device() -> str:
    """Describes the devices of all processes, such as `8 x NVIDIA H100 80GB`."""
    return f"{jax.device_count()} x {jax.devices()[0].device_kind}"


def revision() -> str:
    """Returns the git commit of this package, with `-dirty` if files have changed.

    It is "" outside a clone, also for a package that is installed inside the repository
    of another project.
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
    """Returns all of these and the command line, for `config.json`."""
    return {
        "command": command,
        "versions": versions(),
        "device": device(),
        "revision": revision(),
    }
