"""Checkpoint files: PyTorch's, read without running anything in them; safetensors.

Both libraries are optional, and imported only when a file of theirs is at hand.
"""

import argparse
import dataclasses
import importlib
import os
import re
import warnings
from types import ModuleType
from typing import Any

import numpy as np

from rtil_jax.convert.layouts import Tensors
from rtil_jax.errors import UserError

# Of the dict in a file: the generator's moving average, the generator, the
# discriminator.
PARTS = ("g_ema", "g", "d")
PREFIX = "module."  # DataParallel's
SUFFIXES = (".pt", ".pth", ".safetensors")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a file holds, optimisers and settings left out.

    Attributes:
        parts: tensors by name of some of PARTS.
        tensors: those beside the networks, such as the mean of w.
        numbers: those beside the networks, such as the phase of a growing PGGAN.
        prefixed: the parts whose names all begin with `module.` in the file.
        flat: whether the file is one network, `g_ema`, and not a dict of parts.
    """

    parts: dict[str, Tensors]
    tensors: Tensors = dataclasses.field(default_factory=dict)
    numbers: dict[str, float] = dataclasses.field(default_factory=dict)
    prefixed: tuple[str, ...] = ()
    flat: bool = False


def read(path: str) -> Checkpoint:
    """Reads `path`, of whatever layout.

    Raises:
        UserError: if it cannot be read, asks for code to be run, or has a network
            with NaN or infinity in it.
    """
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise UserError(
            f"{path}: found no readable file ({error.strerror}), expected a checkpoint"
        ) from error
    safe = path.endswith(".safetensors")
    found = checkpoint_of(_read_safetensors(path) if safe else _read_torch(path))
    for part, tensors in found.parts.items():
        for key, values in tensors.items():
            if not np.isfinite(values).all():
                raise UserError(
                    f"{path}: found NaN or infinity in {key} of {part}, expected "
                    "finite numbers: its training diverged"
                )
    return found


def checkpoint_of(tree: dict[str, Any]) -> Checkpoint:
    """Sorts the entries of a file: nested dicts of arrays, numbers and other things."""
    arrays = _arrays(tree)
    by_part = {part: _below(arrays, f"{part}.") for part in PARTS}
    parts = {part: tensors for part, tensors in by_part.items() if tensors}
    if flat := not parts.keys() & {"g_ema", "g"}:
        parts = {"g_ema": arrays}
    prefixed = tuple(
        part
        for part, tensors in parts.items()
        if tensors and all(key.startswith(PREFIX) for key in tensors)
    )
    for part in prefixed:
        parts[part] = _below(parts[part], PREFIX)
    return Checkpoint(
        parts,
        {} if flat else {k: array for k, array in arrays.items() if "." not in k},
        {k: float(x) for k, x in tree.items() if isinstance(x, int | float)},
        prefixed,
        flat,
    )


def write(path: str, checkpoint: Checkpoint) -> None:
    """Writes `path`, by its suffix. The inverse of `read`, but for settings.

    Raises:
        UserError: if the suffix is another, or the file cannot be written.
    """
    partial = f"{path}.partial"
    networks = dict(checkpoint.parts)
    for part in checkpoint.prefixed:
        networks[part] = {PREFIX + key: x for key, x in networks[part].items()}
    tree = networks["g_ema"] if checkpoint.flat else networks | checkpoint.tensors
    try:
        if path.endswith(".safetensors"):
            data = _require("safetensors.numpy").save(_arrays(tree))
            with open(partial, "wb") as file:
                file.write(data)
        else:
            torch = _require("torch")
            torch.save(_map(torch.from_numpy, tree), partial)
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path}: cannot be written ({_first_line(error)})") from error


def check_suffix(path: str) -> None:
    """Raises UserError unless `write` knows the suffix and the folder exists."""
    if not path.endswith(SUFFIXES):
        raise UserError(
            f"--to: found {path!r}, expected a file that ends in {', '.join(SUFFIXES)}"
        )
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise UserError(f"--to: found no folder {folder!r}, expected an existing one")


def _read_torch(path: str) -> dict[str, Any]:
    """The file's dict with NumPy arrays; PyTorch's restricted unpickler reads it."""
    torch = _require("torch")
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            # The public training code keeps its flags; a Namespace is plain data.
            torch.serialization.safe_globals([argparse.Namespace]),
        ):
            tree = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # A damaged file raises almost any.
        raise UserError(f"{path}: {_refusal(error)}") from error
    if not isinstance(tree, dict):
        raise UserError(
            f"{path}: found a {type(tree).__name__}, expected a dict of tensors"
        )

    def plain(x):
        if not isinstance(x, torch.Tensor):
            return x
        x = x.detach()
        return (x.float() if x.is_floating_point() else x).numpy()

    return _map(plain, tree)


def _refusal(error: Exception) -> str:
    """What is wrong with a file, from what PyTorch raised."""
    text = str(error)
    if asked := re.search(r"GLOBAL ([\w.]+)", text):
        return (
            f"found a pickle that asks for {asked[1]}, expected tensors, numbers and "
            "dicts only (a state_dict); nothing in it was run"
        )
    if "weights_only" in text.lower():
        reason = re.search(
            r"Unsupported [^\n]*|WeightsUnpickler error: *(\S[^\n]*)", text
        )
        return (
            "found a pickle of other things than tensors"
            + (f" ({reason[0]})" if reason else "")
            + ", expected a checkpoint; nothing in it was run"
        )
    return (
        f"found a truncated, damaged or foreign file ({_first_line(error)}), expected "
        "a checkpoint of PyTorch"
    )


def _read_safetensors(path: str) -> dict[str, Any]:
    safetensors = _require("safetensors.numpy")
    try:
        return dict(safetensors.load_file(path))
    except Exception as error:  # Of the library's own kinds.
        raise UserError(
            f"{path}: found a truncated, damaged or foreign file "
            f"({_first_line(error)}), expected safetensors"
        ) from error


def _require(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise UserError(
            f"{name}: is not installed, and this kind of file needs it; expected it "
            f'from pip install "rtil_jax[{name}]"'
        ) from error


def _first_line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).strip().partition("\n")[0]


def _map(function: Any, tree: Any) -> Any:
    """`function` of every leaf of nested dicts."""
    if isinstance(tree, dict):
        return {key: _map(function, value) for key, value in tree.items()}
    return function(tree)


def _arrays(tree: Any, name: str = "") -> Tensors:
    """The arrays in nested dicts by dotted name."""
    if isinstance(tree, np.ndarray):
        return {name: tree}
    arrays: Tensors = {}
    for key, value in tree.items() if isinstance(tree, dict) else ():
        arrays |= _arrays(value, f"{name}.{key}" if name else str(key))
    return arrays


def _below(arrays: Tensors, prefix: str) -> Tensors:
    """Those whose name begins with `prefix`, without it."""
    return {
        k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)
    }
