"""What people hand in as arrays and numbers: their kind, shape and range, checked once.

Values inside a jitted function are not known while JAX traces it; then only shapes and
types are checked.
"""

import math
import reprlib
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rtil_jax.errors import UserError

# What black and white are.
Limits = tuple[float | int, float | int]
# Of the range from black to white: (x + 1) / 2 in float32, or bfloat16's last digit, is
# no overshoot.
ROUNDING = 1e-3
# Likewise: from where images are not as good as in the range, and from where not
# samples of a generator either.
OVERSHOOT, MARGIN = 0.05, 1.5
LAYOUT = "(batch, height, width, channels)"
TO_FLOAT = "rtil_jax.data.to_float(pixels) makes them of uint8 pixels in [0, 255]"


def is_traced(tree: Any) -> bool:
    """Whether some array has no values yet, because JAX is tracing a function."""
    return any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(tree))


def as_number(
    name: str, found: Any, low: float | int, high: float | int, expected: str
) -> Any:
    """A finite number in [low, high], a whole one if `low` is: Python's, of any kind.

    Raises:
        UserError: if it is no number, or another; it says what was `expected`.
    """
    value = found.item() if getattr(found, "shape", None) == () else found
    kinds = (int,) if isinstance(low, int) else (int, float)
    if type(value) not in kinds or not low <= value <= high or value == math.inf:
        raise UserError(f"{name}: found {reprlib.repr(found)}, expected {expected}")
    return value


def as_array(name: str, found: Any) -> Array | np.ndarray:
    """Arrays as they are; lists and what else NumPy reads as NumPy's.

    Raises:
        UserError: if it is no array of numbers.
    """
    if isinstance(found, jax.Array | np.ndarray):
        array = found
    else:
        try:
            array = np.asarray(found)
        except Exception:  # whatever another library's array may raise
            array = np.asarray(None)
    if not jnp.issubdtype(array.dtype, np.number) and array.dtype != bool:
        kind = type(found).__name__
        kind += f" of {array.dtype}" if array is found else ""
        raise UserError(f"{name}: found a {kind}, expected an array of numbers")
    return array


def as_floats(name: str, found: Any, convert: str, *, complex_too: bool) -> Array:
    """float32, or complex64 of complex numbers, all of them finite.

    Raises:
        UserError: for whole numbers, which say nothing of their range, with the advice
            `convert`; for NaN and infinity.
    """
    array = as_array(name, found)
    is_complex = complex_too and jnp.issubdtype(array.dtype, jnp.complexfloating)
    if not is_complex:
        kinds = "real or complex" if complex_too else "real"
        _require_floats(name, array, kinds, convert)
    if not is_traced(array):
        require_finite(name, np.asarray(array))
    return jnp.asarray(array, jnp.complex64 if is_complex else jnp.float32)


def require_finite(name: str, array: np.ndarray) -> None:
    """Raises UserError if an entry is NaN or infinite."""
    finite = np.isfinite(array)
    if not finite.all():
        axes = tuple(range(1, array.ndim))
        bad = int(np.sum(~finite.all(axis=axes)))
        raise UserError(
            f"{name}: found NaN or infinity in {bad} of {len(array)}, expected finite "
            "numbers, also where nothing is known or measured (0, for example)"
        )


def check_images(name: str, found: Any) -> Array | np.ndarray:
    """`(batch, height, width, channels)` real floating-point numbers, of any value.

    Args:
        name: what to call them in an error; its last word is a Python expression.
        found: the images, as they are handed in.

    Raises:
        UserError: if they have another shape, or are whole or complex numbers.
    """
    array, expression = as_array(name, found), name.rpartition(" ")[2]
    hint = _layout_hint(expression, array.shape)
    if array.ndim != 4 or hint:
        raise UserError(f"{name}: found shape {array.shape}, expected {LAYOUT}{hint}")
    if not array.size:
        raise UserError(f"{name}: found shape {array.shape}, expected at least 1 image")
    convert = f"of 8-bit images {expression} / 255 is in [0, 1] and "
    convert += f"{expression} / 127.5 - 1 in [-1, 1]"
    _require_floats(name, array, "real", convert)
    return array


def check_pair(metric: str, x: Any, y: Any) -> tuple[Array | np.ndarray, ...]:
    """Two batches of images of one shape, as `check_images` returns them.

    Raises:
        UserError: as `check_images`, or if they have two shapes.
    """
    x, y = (check_images(f"{metric}: {n}", each) for n, each in (("x", x), ("y", y)))
    if x.shape != y.shape:
        raise UserError(
            f"{metric}: found images of shapes {x.shape} and {y.shape}, expected two "
            "of one shape"
        )
    return x, y


def check_values(name: str, images: Array | np.ndarray, limits: Limits) -> None:
    """Raises UserError if a value is outside the limits by more than rounding.

    NaN and infinities pass: they make the result of their own image NaN or infinite,
    which nobody takes for a number.
    """
    if _beyond(images, limits) > ROUNDING:
        raise UserError(_out_of_range(name, images, limits))


def as_images(
    name: str, found: Any, limits: Limits
) -> Float[Array, "batch height width channels"]:
    """float32 images, with a batch axis, that may be in `limits`.

    Images in [0, 1] cannot be told from dark ones in [-1, 1]. Samples of a generator
    may be somewhat beyond the limits, with a warning.

    Raises:
        UserError: if the rank, the kind of numbers or the range is another.
    """
    array = check_images(name, found)
    images = as_floats(name, array, TO_FLOAT, complex_too=False)
    beyond, extent = _beyond(array, limits), extent_of(array)
    if beyond > OVERSHOOT and extent is not None:
        message = _out_of_range(name, array, limits)
        if beyond > MARGIN or limits[0] < 0 <= extent[0]:
            raise UserError(message)
        warnings.warn(message, stacklevel=3)
    return images


def warn_of_range(name: str, images: Array) -> None:
    """Warns of images that are no generator's in [-1, 1], as those in [0, 255]."""
    if _beyond(images, (-1, 1)) > MARGIN:
        warnings.warn(_out_of_range(name, images, (-1, 1)), stacklevel=4)


def as_limits(name: str, found: Any) -> Limits:
    """Black and white, of any pair of numbers.

    Raises:
        UserError: unless white is above black.
    """
    values = found.tolist() if hasattr(found, "tolist") else found
    numbers = isinstance(values, tuple | list) and len(values) == 2
    numbers = numbers and all(type(value) in (int, float) for value in values)
    if not numbers or not 0 < values[1] - values[0] < math.inf:
        raise UserError(
            f"{name}: found {reprlib.repr(found)}, expected black and white, as "
            "(-1, 1) or (0, 1)"
        )
    return values[0], values[1]


def extent_of(images: Array | np.ndarray) -> tuple[float, float] | None:
    """The least and the largest finite value; None if there is none, or unknown."""
    if is_traced(images) or np.iscomplexobj(images):
        return None
    values = np.asarray(images)
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else None


def _require_floats(name: str, array: Any, kinds: str, convert: str) -> None:
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise UserError(
            f"{name}: found {_describe(array)}, expected {kinds} floating-point "
            f"numbers; {convert}"
        )


def _describe(array: Array | np.ndarray) -> str:
    """The kind of numbers and, where there are any, the least and the greatest."""
    extent = extent_of(array)
    values = "" if extent is None else f" from {extent[0]:.4g} to {extent[1]:.4g}"
    return f"{array.dtype}{values}"


def _beyond(images: Array | np.ndarray, limits: Limits) -> float:
    """How far the images are beyond the limits, as a part of black to white."""
    extent = extent_of(images)
    if extent is None:
        return 0.0
    (least, most), (black, white) = extent, limits
    return max(black - least, most - white) / (white - black)


def _layout_hint(name: str, shape: tuple[int, ...]) -> str:
    """What to write for images in another layout."""
    if len(shape) == 4 and shape[1] in (1, 3) and min(shape[2:]) > 4:
        return f"; np.moveaxis({name}, 1, -1) moves channels to the end"
    if len(shape) == 3 and shape[-1] <= 4:
        return f"; a single one is {name}[None]"
    if len(shape) == 3:
        return f"; grey ones are {name}[..., None]"
    return f"; a grey one is {name}[None, :, :, None]" if len(shape) == 2 else ""


def _out_of_range(name: str, images: Array | np.ndarray, limits: Limits) -> str:
    """What was found, what was expected and what to write."""
    (low, high), (least, most) = limits, extent_of(images) or (math.nan, math.nan)
    expression = name.rpartition(" ")[2]
    remedy = _remedy(expression, least, most, low, high)
    return (
        f"{name}: found {_describe(images)}, expected images in [{low:g}, {high:g}]; "
        f"write {remedy}"
    )


def _remedy(
    name: str, least: float, most: float, low: float | int, high: float | int
) -> str:
    """What to write in place of `name`."""
    from_black = least >= -0.05 * most  # where resizing may overshoot
    if from_black and most > 2 * 255:
        scaled = f"{name} / WHITE" if low == 0 else f"2 * {name} / WHITE - 1"
        return f"{scaled}, where WHITE is the value of white"
    if from_black and most > 2 * max(abs(low), high):
        scaled = f"{name} / 127.5 - 1" if low < 0 else f"{name} / 255"
        return f"{scaled} for images in [0, 255]"
    clip = f"jnp.clip({name}, {low:g}, {high:g})"
    if low == 0 and least < 0:
        symmetric = f"jnp.clip(({name} + 1) / 2, 0, 1)"
        if least < -0.5:
            return f"{symmetric} for images in [-1, 1]"
        return f"{clip} if it overshoots, {symmetric} for images in [-1, 1]"
    if low < 0 <= least:
        return f"{clip} where it overshoots, {name} - 1 for images in [0, 2]"
    undo = ", or undo a division by a standard deviation" if low < 0 else ""
    return f"{clip} where it overshoots{undo}"
