"""Handles files: local paths, JSON, Python files to run, and replacing in one step."""

import contextlib
import json
import os
import re
import secrets
import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from types import ModuleType
from typing import IO, Any

from rtil_jax.errors import UserError

# A drive of Windows has one letter; `pathlib` turns two slashes into one.
_URL = re.compile("([A-Za-z][A-Za-z0-9+.-]+):/")


def local_path(path: Any, name: str) -> str:
    """Returns a path with `~` replaced by the home directory.

    Args:
        path: a folder or a file that need not exist.
        name: the name of the path in an error, such as `--workdir`.

    Raises:
        UserError: if it is empty or not a path, or a URL such as `gs://bucket/run`,
            which would otherwise name a folder `gs:`.
    """
    if not isinstance(path, str | os.PathLike):
        raise UserError(f"{name}: found {type(path).__name__}, expected a path")
    text = os.fspath(path)
    if not isinstance(text, str):
        raise UserError(f"{name}: found {text!r}, expected text, not bytes")
    if not text:
        raise UserError(f"{name}: found '', expected a path")
    if url := _URL.match(text):
        scheme, rest = url[1].lower(), text[url.end() :].lstrip("/")
        hint = "copy it from or to there, or mount the bucket as a folder (gcsfuse)"
        if scheme == "file":
            hint = f"write /{rest}"
        raise UserError(
            f"{name}: found {text}, expected a local path (only local files are read "
            f"and written): {hint}"
        )
    return os.path.expanduser(text)


def read_json(path: str, expected: str) -> Any:
    """Reads a JSON file.

    Args:
        path: the file.
        expected: what it should be, for the end of an error: "the config of a run".

    Raises:
        UserError: if the file cannot be read or is not JSON.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        found = f"no readable file ({error.strerror})"
        raise UserError(f"{path}: found {found}, expected {expected}") from error
    except ValueError as error:
        found = f"a file that is not JSON ({error})"
        raise UserError(f"{path}: found {found}, expected {expected}") from error


def run_python(path: str, name: str) -> ModuleType:
    """Runs a Python file as a module called `name`; raises whatever the file raises."""
    loader = SourceFileLoader(name, path)
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = sys.modules[loader.name] = module_from_spec(spec)
    loader.exec_module(module)
    return module


@contextlib.contextmanager
def replacing(path: str, mode: str = "w") -> Iterator[IO]:
    """Opens a new file that replaces `path` when the block ends without an error.

    Until then it has another name, so several processes, also on several machines, may
    replace one file: the last one wins, and readers never see a part. Text is UTF-8,
    with `\\n` on every system.
    """
    partial = f"{path}.{secrets.token_hex(4)}.partial"
    text: dict[str, Any] = {} if "b" in mode else {"newline": "", "encoding": "utf-8"}
    try:
        with open(partial, mode, **text) as file:
            yield file
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(partial)
        raise
