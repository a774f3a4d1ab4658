"""Reads and writes checkpoint files of PyTorch and safetensors.

Reading needs only NumPy, and runs nothing that is in a file. Writing imports the
libraries, which are optional.
"""

import importlib
import os
from types import ModuleType
from typing import Any

from rtil_jax.convert.checkpoint import MODULE, Checkpoint
from rtil_jax.convert.foreign import asks_for
from rtil_jax.convert.safe_tensors import is_safe_tensors, read_safe_tensors
from rtil_jax.errors import UserError
from rtil_jax.files import replacing
from rtil_jax.inert_pickle import ForbiddenReference
from rtil_jax.torch_files import Saved, read_torch

SUFFIXES = (".pt", ".pth", ".safetensors")


_TORCH = (b"PK", b"\x80\x02")  # a zip, a pickle
# How files begin that are not checkpoints -> what they are, and what to do.
_NO_CHECKPOINTS = {
    b"version https://git-lfs": (
        "a pointer of Git LFS, expected the file itself (run `git lfs pull`)"
    ),
    b"<": "a web page, expected a checkpoint; its download must have failed",
}


def read(path: str) -> Saved:
    """Reads a checkpoint file of any name and layout.

    Raises:
        UserError: if it cannot be read, or asks to run code.
    """
    safe = path.endswith(".safetensors")
    try:
        with open(path, "rb") as file:
            start = file.read(64)
            file.seek(0)
            for beginning, what in _NO_CHECKPOINTS.items():
                if start.lstrip().startswith(beginning):
                    raise UserError(f"{path}: found {what}")
            # If the contents do not tell, the name decides.
            safe = is_safe_tensors(start) or (safe and start[:2] not in _TORCH)
            return Saved(read_safe_tensors(file)) if safe else read_torch(file)
    except UserError:
        raise
    except OSError as error:
        raise UserError(
            f"{path}: found no readable file ({error.strerror}), expected a checkpoint"
        ) from error
    except ForbiddenReference as error:
        raise UserError(f"{path}: {asks_for(error.reference)}") from error
    except Exception as error:  # A damaged file may raise almost anything.
        raise UserError(
            f"{path}: found a truncated, damaged or foreign file "
            f"({_first_line(error)}), expected "
            + ("safetensors" if safe else "a checkpoint of PyTorch")
        ) from error


def write(path: str, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint file, whose suffix decides the format.

    It is the inverse of `read`, except for settings.

    Raises:
        UserError: if the suffix is unknown, or the file cannot be written.
    """
    networks = dict(checkpoint.parts)
    for part in checkpoint.prefixed:
        networks[part] = {MODULE + key: x for key, x in networks[part].items()}
    tree = networks["g_ema"] if checkpoint.flat else networks | checkpoint.tensors
    safe = path.endswith(".safetensors")
    library = _require("safetensors.numpy" if safe else "torch")
    try:
        with replacing(path, "wb") as file:
            if safe:
                file.write(library.save(_flat(tree)))
            else:
                library.save(_map(library.from_numpy, tree), file)
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path}: cannot be written ({_first_line(error)})") from error


def check_new_file(path: str) -> None:
    """Raises UserError unless `write` can make a new file of that name."""
    if not path.endswith(SUFFIXES):
        raise UserError(
            f"--to: found {path!r}, expected a file that ends in {', '.join(SUFFIXES)}"
        )
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise UserError(
            f"--to: found no folder {folder!r}, expected an existing folder"
        )
    if os.path.exists(path):
        raise UserError(f"--to: found {path}, expected the name of a new file")
    if not os.access(folder, os.W_OK):
        raise UserError(f"--to: {folder}: cannot be written (Permission denied)")


def _require(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise UserError(
            f"--to: found no package {name}, which writes this kind of file, expected "
            f"pip install {name}"
        ) from error


def _first_line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).strip().partition("\n")[0]


def _map(function: Any, tree: Any) -> Any:
    """Applies `function` to every leaf of nested dicts."""
    if isinstance(tree, dict):
        return {key: _map(function, value) for key, value in tree.items()}
    return function(tree)


def _flat(tree: dict[str, Any]) -> dict[str, Any]:
    """Flattens a dict of two levels to dotted names."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        inside = value if isinstance(value, dict) else {"": value}
        flat |= {f"{key}.{name}".removesuffix("."): x for name, x in inside.items()}
    return flat
