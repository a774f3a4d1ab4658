"""Checks the arrays and numbers that users pass in: type, shape and range.

Inside a jitted function the values are unknown while JAX traces it; then only shapes
and types are checked.
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

# The values of black and white.
Limits = tuple[float | int, float | int]
# Share of the range from black to white. The rounding of (x + 1) / 2 in float32, or of
# bfloat16, does not count as overshoot.
ROUNDING = 1e-3
# Likewise: images beyond the first are not taken for images in the range, and images
# beyond the second not for samples of a generator either.
OVERSHOOT, MARGIN = 0.05, 1.5
LAYOUT = "(batch, height, width, channels)"
TO_FLOAT = "rtil_jax.data.to_float(pixels) converts uint8 pixels in [0, 255]"


def is_traced(tree: Any) -> bool:
    """Tells whether JAX is tracing a function, so that an array has no values yet."""
    return any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(tree))


def as_number(
    name: str, found: Any, low: float | int, high: float | int, expected: str
) -> Any:
    """Returns a user's number as a Python number in [low, high].

    Args:
        name: the name of the number in an error.
        found: what the user gave: a Python or NumPy number.
        low: the smallest value; a whole number here requires whole numbers.
        high: the largest value.
        expected: the end of the error, such as "a whole number from 1".

    Raises:
        UserError: if it is not a number, or not such a number.
    """
    value = found.item() if getattr(found, "shape", None) == () else found
    kinds = (int,) if isinstance(low, int) else (int, float)
    if type(value) not in kinds or not low <= value <= high or value == math.inf:
        raise UserError(f"{name}: found {reprlib.repr(found)}, expected {expected}")
    return value


def as_array(name: str, found: Any) -> Array | np.ndarray:
    """Returns arrays as they are, and lists and the like as NumPy arrays.

    Raises:
        UserError: if it is not an array of numbers.
    """
    if isinstance(found, jax.Array | np.ndarray):
        array = found
    else:
        try:
            array = np.asarray(found)
        except Exception:  # another library's array may raise anything
            array = np.asarray(None)
    if not jnp.issubdtype(array.dtype, np.number) and array.dtype != bool:
        kind = type(found).__name__
        kind += f" of {array.dtype}" if array is found else ""
        raise UserError(f"{name}: found a {kind}, expected an array of numbers")
    return array


def as_floats(name: str, found: Any, convert: str, *, complex_too: bool) -> Array:
    """Returns an array of finite numbers as float32, or complex64 if it is complex.

    Args:
        name: the name of the array in an error.
        found: what the user gave.
        convert: the advice in an error about whole numbers, whose range is unknown.
        complex_too: whether complex numbers are allowed.

    Raises:
        UserError: if the numbers are whole, complex without `complex_too`, NaN or
            infinite.
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
            "numbers; write 0 where nothing is known or measured"
        )


def check_images(name: str, found: Any) -> Array | np.ndarray:
    """Checks a batch of images, `(batch, height, width, channels)`, of any range.

    Args:
        name: the name of the images in an error; its last word is a Python expression.
        found: what the user gave.

    Raises:
        UserError: if they have another shape, or are whole or complex numbers.
    """
    array, expression = as_array(name, found), name.rpartition(" ")[2]
    hint = _layout_hint(expression, array.shape)
    if array.ndim != 4 or hint:
        raise UserError(f"{name}: found shape {array.shape}, expected {LAYOUT}{hint}")
    if not array.size:
        raise UserError(f"{name}: found shape {array.shape}, expected at least 1 image")
    convert = f"for 8-bit images write {expression} / 255 to get [0, 1], or "
    convert += f"{expression} / 127.5 - 1 to get [-1, 1]"
    _require_floats(name, array, "real", convert)
    return array


def check_pair(metric: str, x: Any, y: Any) -> tuple[Array | np.ndarray, ...]:
    """Checks two batches of images that must have the same shape.

    Args:
        metric: the name of the function in an error.
        x: the first batch, `(batch, height, width, channels)`.
        y: the second batch.

    Raises:
        UserError: if `check_images` raises it, or the shapes differ.
    """
    x, y = (check_images(f"{metric}: {n}", each) for n, each in (("x", x), ("y", y)))
    if x.shape != y.shape:
        raise UserError(
            f"{metric}: found images of shapes {x.shape} and {y.shape}, expected the "
            "same shape"
        )
    return x, y


def check_values(name: str, images: Array | np.ndarray, limits: Limits) -> None:
    """Raises UserError if a value is outside the limits by more than rounding.

    NaN and infinities pass, because they make the result of their image NaN or
    infinite, which is easy to see.

    Args:
        name: the name of the images in an error.
        images: `(batch, height, width, channels)`.
        limits: the values of black and white.
    """
    if _beyond(images, limits) > ROUNDING:
        raise UserError(_out_of_range(name, images, limits))


def as_images(
    name: str, found: Any, limits: Limits
) -> Float[Array, "batch height width channels"]:
    """Returns a user's images as float32, if their values can be meant for `limits`.

    Images in [0, 1] look like bright images in [-1, 1], so they pass. Samples of a
    generator may exceed the limits somewhat; that gives a warning.

    Args:
        name: the name of the images in an error.
        found: what the user gave, `(batch, height, width, channels)`.
        limits: the values of black and white.

    Raises:
        UserError: if the shape, the type or the range is wrong.
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
    """Warns of images that cannot be samples in [-1, 1], such as those in [0, 255]."""
    if _beyond(images, (-1, 1)) > MARGIN:
        warnings.warn(_out_of_range(name, images, (-1, 1)), stacklevel=4)


def as_limits(name: str, found: Any) -> Limits:
    """Returns the values of black and white from a pair of numbers.

    Raises:
        UserError: if white is not above black.
    """
    values = found.tolist() if hasattr(found, "tolist") else found
    numbers = isinstance(values, tuple | list) and len(values) == 2
    numbers = numbers and all(type(value) in (int, float) for value in values)
    if not numbers or not 0 < values[1] - values[0] < math.inf:
        raise UserError(
            f"{name}: found {reprlib.repr(found)}, expected the values of black and "
            "white, such as (-1, 1) or (0, 1)"
        )
    return values[0], values[1]


def extent_of(images: Array | np.ndarray) -> tuple[float, float] | None:
    """Returns the smallest and largest finite value; None if no value is known."""
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
    """Describes the type of an array and, if known, its smallest and largest value."""
    extent = extent_of(array)
    values = "" if extent is None else f" from {extent[0]:.4g} to {extent[1]:.4g}"
    return f"{array.dtype}{values}"


def _beyond(images: Array | np.ndarray, limits: Limits) -> float:
    """Returns how far images exceed the limits, as a share of the range."""
    extent = extent_of(images)
    if extent is None:
        return 0.0
    (least, most), (black, white) = extent, limits
    return max(black - least, most - white) / (white - black)


def _layout_hint(name: str, shape: tuple[int, ...]) -> str:
    """Says what to write for images in another layout."""
    if len(shape) == 4 and shape[1] in (1, 3) and min(shape[2:]) > 4:
        return f"; np.moveaxis({name}, 1, -1) moves channels to the end"
    if len(shape) == 3 and shape[-1] <= 4:
        return f"; for a single image write {name}[None]"
    if len(shape) == 3:
        return f"; for grey images write {name}[..., None]"
    grey = f"; for a single grey image write {name}[None, :, :, None]"
    return grey if len(shape) == 2 else ""


def _out_of_range(name: str, images: Array | np.ndarray, limits: Limits) -> str:
    """Says what was found, what was expected and what to write."""
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
    """Says what to write in place of `name`."""
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
