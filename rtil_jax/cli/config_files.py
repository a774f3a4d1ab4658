"""Finds config files, in the working directory and in the package."""

import ast
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDER = "configs"


def shipped() -> Path:
    """Returns the directory with the package's `configs/`; in a clone, its root."""
    package = Path(__file__).parents[1]
    inside = package / "shipped"  # `setup.py` puts them there
    return inside if inside.is_dir() else package.parent


def find_config(path: str) -> str:
    """Returns `path` if this file exists, or else the package's config of that name.

    Args:
        path: as on the command line, such as `configs/invert/ilo.py`.
    """
    relative = Path(os.path.normpath(path))
    if os.path.isfile(path) or relative.parts[:1] != (FOLDER,):
        return path
    own = shipped() / relative
    return str(own) if own.is_file() else path


def known_configs() -> list[str]:
    """Lists all config files, sorted, as they are written on the command line."""
    roots = {Path(), shipped()}
    return sorted(
        {
            path.relative_to(root).as_posix()
            for root in roots
            for path in (root / FOLDER).rglob("*.py")
        }
    )


def about(path: str) -> str:
    """Returns the docstring of a config file."""
    text = Path(find_config(path)).read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(text)) or ""


@contextlib.contextmanager
def importable(path: str) -> Iterator[None]:
    """Lets a config file import others, as `configs.NAME`, while it runs.

    `configs` is a namespace package: Python looks in a folder of that name around the
    file first, and then in the package.
    """
    own = [str(f.parent) for f in Path(path).resolve().parents if f.name == FOLDER]
    before = sys.path.copy()
    sys.path[:] = [*own[:1], *before, str(shipped())]
    try:
        yield
    finally:
        sys.path[:] = before
