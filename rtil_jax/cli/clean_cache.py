"""Removes decoded images and compiled programs; both are made again when needed.

rtil clean-cache
"""

import argparse
import os

from rtil_jax.caches import COMPILED, image_root, prune_compiled, prune_images
from rtil_jax.cli.flags import Parser

NAMED = "JAX_COMPILATION_CACHE_DIR"


def add_arguments(parser: Parser) -> None:
    """Adds nothing: this command has no flags."""


def run(arguments: argparse.Namespace) -> None:
    """Empties both caches, except sets of images that a process uses."""
    root = image_root()
    removed = prune_images(root, 0) if root.is_dir() else 0
    print(f"images    {removed / 2**20:,.0f} MiB removed from {root}")
    removed = prune_compiled(0)
    print(f"programs  {removed / 2**20:,.0f} MiB removed from {COMPILED}")
    if os.environ.get(NAMED):
        print(f"          kept: {os.environ[NAMED]}, because {NAMED} names it")
