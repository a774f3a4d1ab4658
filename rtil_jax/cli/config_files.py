"""Config files: those of the working directory, and those that the package has."""

import ast
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDER = "configs"


def shipped() -> Path:
    """The directory that holds the package's `configs/`: in a clone, the clone."""
    package = Path(__file__).parents[1]
    inside = package / "shipped"  # where `setup.py` puts them
    return inside if inside.is_dir() else package.parent


def find_config(path: str) -> str:
    """`path`, or the package's file of that name where there is no such file.

    Args:
        path: as on the command line, such as `configs/invert/ilo.py`.
    """
    relative = Path(os.path.normpath(path))
    if os.path.isfile(path) or relative.parts[:1] != (FOLDER,):
        return path
    own = shipped() / relative
    return str(own) if own.is_file() else path


def known_configs() -> list[str]:
    """All of both, sorted, as they are written on the command line."""
    roots = {Path(), shipped()}
    return sorted(
        {
            path.relative_to(root).as_posix()
            for root in roots
            for path in (root / FOLDER).rglob("*.py")
        }
    )


def about(path: str) -> str:
    """The docstring of a config file."""
    text = Path(find_config(path)).read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(text)) or ""


@contextlib.contextmanager
def importable(path: str) -> Iterator[None]:
    """Lets a config file import others, as `configs.NAME`, while it runs.

    `configs` is a namespace package, so that a folder of that name around the file
    comes first, and what it lacks is the package's.
    """
    own = [str(f.parent) for f in Path(path).resolve().parents if f.name == FOLDER]
    before = sys.path.copy()
    sys.path[:] = [*own[:1], *before, str(shipped())]
    try:
        yield
    finally:
        sys.path[:] = before
