"""Reads measurements from arrays: y, and the arrays of the operator by name."""

import math
import os
import zipfile
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from rtil_jax.errors import UserError
from rtil_jax.experiments.measurements.array_operators import READERS, operator_of
from rtil_jax.experiments.measurements.measured import Measured, ratio_of
from rtil_jax.experiments.measurements.picture_files import fingerprint_of
from rtil_jax.operators.interface import ImageShape

# Facts that a file may hold besides y and the operator's arrays.
FACTS = ("names", "problem", "ratio", "noise_std", "noise", "peak", "range", "form")


def is_arrays(path: str) -> bool:
    """Tells whether a path is a .npz or .npy, or a folder with a `y.npy`."""
    if os.path.isdir(path):
        return os.path.isfile(os.path.join(path, "y.npy"))
    return path.lower().endswith((".npy", ".npz"))


def load_arrays(
    path: str, problem: str, image_shape: ImageShape, operator: Any = None
) -> Measured:
    """Reads measurements from a `.npz`, or from a `.npy` with others beside it.

    A `.npz` has `y` and the operator's arrays, as `rtil measure` writes it. A `.npy` is
    y, and the operator's arrays are `.npy` files with their names in the same folder.
    In a folder, y is `y.npy`. y holds one image, or several with a leading axis.

    Args:
        path: the file or folder.
        problem: a name in `READERS`, unless the file names another.
        image_shape: `(height, width, channels)` of the images to recover.
        operator: an operator for all images, in place of the arrays.

    Raises:
        UserError: if the file has objects, arrays are missing or unknown, or shapes do
            not fit.
    """
    arrays = _read_npz(path) if path.lower().endswith(".npz") else _read_npy(path)
    if "y" not in arrays:
        there = ", ".join(sorted(arrays)) or "nothing"
        raise UserError(f"{path}: found {there}, expected y and the operator's arrays")
    y = _as_numbers(path, arrays.pop("y"))
    facts = {name: arrays.pop(name) for name in FACTS if name in arrays}
    problem = "own" if operator is not None else str(facts.get("problem", problem))
    form = str(facts.get("form", "")) or _form(problem, y)
    own_facts = _config_facts(path, facts)
    if operator is None and form not in READERS:
        known = ", ".join(name for name in READERS if name != "fourier_lines")
        raise UserError(
            f"{path}: found problem={problem}, expected one of {known}, such as "
            "--config.problem=fourier, or config.operator=FILE.py:NAME"
        )
    y, count = _batched(path, form, y, image_shape, operator)
    if operator is not None and arrays:
        raise UserError(
            f"{path}: found the arrays {', '.join(sorted(arrays))} with "
            "config.operator, expected only y"
        )
    operators, shared = operator, True
    if operator is None:
        _check_kind(path, form, y)
        if form == "tomography" and y.ndim == 4:  # y itself has it
            arrays.setdefault("detectors", np.asarray(y.shape[-2]))
        operators, shared = operator_of(path, form, arrays, image_shape, count)
        _check_shape(path, y, operators if shared else _first(operators))
    names = _names(path, facts, count)
    stamp = _stamp(form, arrays)
    return Measured(
        source=os.path.basename(os.path.abspath(path)),
        names=names,
        identities=tuple(f"{stamp}-{fingerprint_of(one.tobytes())}" for one in y),
        problem=problem,
        ratio=own_facts.pop("ratio", None) or ratio_of(operators, image_shape, shared),
        y=y,
        operators=operators,
        shared=shared,
        facts=own_facts,
    )


def _read_npz(path: str) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> UserError:
    if "allow_pickle" in str(error) or "pickle" in str(error):
        return UserError(
            f"{path}: found Python objects or a damaged file, expected arrays of "
            "numbers; objects could run code, so they are not read"
        )
    return UserError(f"{path}: cannot be read as arrays ({error})")


def _read_npy(path: str) -> dict[str, np.ndarray]:
    """Reads y and the arrays with known names beside it."""
    path = os.path.join(path, "y.npy") if os.path.isdir(path) else path
    folder = os.path.dirname(os.path.abspath(path))
    known = {name for reader in READERS.values() for name in reader.known}
    paths = {"y": path}
    for name in sorted(known | set(FACTS)):
        beside = os.path.join(folder, f"{name}.npy")
        same = os.path.abspath(path) == beside
        if os.path.isfile(beside) and not same:
            paths[name] = beside
    found = {}
    for name, one in paths.items():
        try:
            found[name] = np.load(one, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise _unreadable(one, error) from error
    return found


def _as_numbers(path: str, y: np.ndarray) -> np.ndarray:
    """Returns y as float32 or complex64; all numbers must be finite."""
    if y.dtype.kind not in "fc":
        hint = ""
        if y.dtype == np.uint8:
            hint = "; write y / 127.5 - 1, because images are in [-1, 1]"
        raise UserError(
            f"{path}: found y of {y.dtype}, expected floating-point numbers{hint}"
        )
    if not y.size or not np.isfinite(y).all():
        raise UserError(
            f"{path}: found y of shape {y.shape} that is empty or has NaN or infinity, "
            "expected finite numbers; write 0 where nothing is measured"
        )
    return y.astype(np.complex64 if y.dtype.kind == "c" else np.float32)


def _form(problem: str, y: np.ndarray) -> str:
    """Tells k-space as complex numbers from the lines that `rtil measure` writes."""
    parts = y.dtype.kind != "c" and y.ndim > 3 and y.shape[-1] == 2
    return "fourier_lines" if problem == "fourier" and parts else problem


def _check_kind(path: str, form: str, y: np.ndarray) -> None:
    wanted = "complex" if form in ("fourier", "multi_coil") else "real"
    found = "complex" if y.dtype.kind == "c" else "real"
    if found != wanted:
        raise UserError(
            f"{path}: found y of {found} numbers, expected {wanted} numbers for "
            f"problem={form}"
        )


# Number of axes of y for one image.
_RANKS = {
    "compressed_sensing": (1,),
    "gaussian": (1,),
    "fourier_lines": (4,),
    "multi_coil": (4,),
}


def _batched(
    path: str,
    form: str,
    y: np.ndarray,
    shape: ImageShape,
    operator: Any,
) -> tuple[np.ndarray, int]:
    """Returns y with a leading axis of images, and their number."""
    if operator is not None:
        found = _output_shape(operator, shape)
        single = y.shape == found
        if y.shape[-len(found) :] != found or y.ndim > len(found) + 1:
            raise UserError(
                f"{path}: found y of shape {y.shape}, expected {found}, the output of "
                "the operator, or a leading axis of images before it"
            )
    else:
        (rank,) = _RANKS.get(form, (3,))
        y = _with_channels(form, y, shape, rank)
        single = y.ndim == rank
        if y.ndim not in (rank, rank + 1):
            raise UserError(
                f"{path}: found y of shape {y.shape}, expected {rank} axes for one "
                f"image of problem={form}, or {rank + 1} for several"
            )
    y = y[None] if single else y
    return y, len(y)


def _with_channels(
    form: str, y: np.ndarray, shape: ImageShape, rank: int
) -> np.ndarray:
    """Adds an axis of channels to grey measurements without one."""
    grey = form == "colourisation" or shape[-1] == 1
    if not grey or rank < 3 or form == "fourier_lines":
        return y
    # As many axes as with channels may also be several images without.
    several = y.ndim == rank and y.shape[-1] not in (1, 3)
    return y[..., None] if y.ndim == rank - 1 or several else y


def _output_shape(operator: Any, shape: ImageShape) -> tuple[int, ...]:
    return jax.eval_shape(operator, jax.ShapeDtypeStruct(shape, np.float32)).shape


def _first(operators: Any) -> Any:
    return jax.tree.map(lambda x: x[0], operators)


def _check_shape(path: str, y: np.ndarray, operator: Any) -> None:
    expected = tuple(operator.output_shape)
    if tuple(y.shape[1:]) != expected:
        raise UserError(
            f"{path}: found y of shape {y.shape[1:]} for each image, expected "
            f"{expected}, the output of {type(operator).__name__}"
        )


def _names(path: str, facts: dict, count: int) -> tuple[str, ...]:
    if "names" not in facts:
        stem = os.path.splitext(os.path.basename(os.path.abspath(path)))[0]
        return (stem,) if count == 1 else tuple(f"{i:05d}" for i in range(count))
    names = tuple(str(name) for name in np.atleast_1d(facts["names"]))
    if len(names) != count or len(set(names)) != count:
        raise UserError(
            f"{path}: found {len(set(names))} different names for {count} "
            "measurements, expected a name for each"
        )
    return names


def _stamp(form: str, arrays: dict[str, np.ndarray]) -> str:
    parts = [
        f"{name}{fingerprint_of(arrays[name].tobytes())}" for name in sorted(arrays)
    ]
    return fingerprint_of("-".join([form, *parts]).encode())


def _config_facts(path: str, facts: dict) -> dict[str, Any]:
    """Returns the facts that are fields of a config, and the ratio, as Python values.

    Raises:
        UserError: if a value is not one that such a field can have.
    """
    checks: dict[str, tuple[Callable, Callable, str]] = {
        "ratio": (float, lambda x: 0 < x <= 1, "a number in (0, 1]"),
        "noise_std": (float, lambda x: 0 <= x < math.inf, "a number of at least 0"),
        "noise": (str, ("gaussian", "poisson").__contains__, "gaussian or poisson"),
        "peak": (float, lambda x: 0 <= x < math.inf, "a number of at least 0"),
        "range": (
            _pair,
            lambda x: x[0] < x[1],
            "the values of black and white, such as (-1, 1)",
        ),
    }
    found = {}
    for name, (read, holds, expected) in checks.items():
        if name not in facts:
            continue
        try:
            found[name] = read(facts[name])
            fits = holds(found[name])
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise UserError(
                f"{path}: {name}: found {facts[name].tolist()!r}, expected {expected}"
            )
    return found


def _pair(values: np.ndarray) -> tuple[float, float]:
    black, white = values
    return float(black), float(white)
