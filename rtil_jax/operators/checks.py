"""Checks the arguments of operators' constructors.

Inside a jitted function values are unknown; then only shapes are checked.
"""

import math
import reprlib
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from rtil_jax.arrays import as_array, is_traced, require_finite
from rtil_jax.errors import UserError
from rtil_jax.operators.interface import ImageShape


def as_image_shape(name: str, found: Any) -> ImageShape:
    """Returns a shape; raises UserError unless it is (height, width, channels)."""
    try:
        shape = tuple(int(size) for size in found)
        whole = all(size == given for size, given in zip(shape, found, strict=True))
    except (TypeError, ValueError):
        shape, whole = (), False
    if not whole or len(shape) != 3 or min(shape) < 1:
        raise UserError(
            f"{name}: found image_shape {reprlib.repr(found)}, expected (height, "
            "width, channels), such as (64, 64, 3)"
        )
    height, width, channels = shape
    return height, width, channels


def as_channels(name: str, found: Any) -> int | None:
    """Returns a number of channels; raises UserError unless it is from 1, or None."""
    if found is None or (type(found) is int and found > 0):
        return found
    raise UserError(f"{name}: found channels={found!r}, expected a whole number from 1")


def as_values(name: str, found: Any) -> Array | np.ndarray:
    """Returns finite real or complex numbers; whole numbers become float32."""
    array = as_array(name, found)
    if not jnp.issubdtype(array.dtype, jnp.inexact):
        array = array.astype(np.float32)
    if not array.size:
        raise UserError(
            f"{name}: found an empty array of shape {array.shape}, expected numbers"
        )
    if not is_traced(array):
        require_finite(name, np.asarray(array).reshape(-1))
    return array


def as_real_values(name: str, found: Any) -> Array | np.ndarray:
    """Returns finite real numbers; refuses complex ones."""
    array = as_values(name, found)
    if jnp.iscomplexobj(array):
        raise UserError(f"{name}: found {array.dtype}, expected real numbers")
    return array


def as_mask(name: str, found: Any) -> Array | np.ndarray:
    """Returns a mask of zeros and ones as floating-point numbers.

    Raises:
        UserError: if it has other values, or no 1.
    """
    array = as_array(name, found)
    if not is_traced(array):
        values = np.unique(np.asarray(array))
        if not np.isin(values, (0, 1)).all():
            word = name.rpartition(" ")[2]
            raise UserError(
                f"{name}: found values from {values.min():g} to {values.max():g}, "
                "expected 1 (or True) where something is measured and 0 elsewhere"
                + (f"; for pixels write {word} > 127" if values.max() == 255 else "")
            )
        if not np.any(values):
            raise UserError(
                f"{name}: found only zeros, which measures nothing, expected at least "
                "one 1"
            )
    # float64 if JAX has it.
    floats = jnp.issubdtype(array.dtype, jnp.floating)
    return array if floats else array.astype(np.float32)


def shape_of_numbers(name: str, count: int, image_shape: Any, what: str) -> ImageShape:
    """Returns the shape of images with `count` numbers; guesses a square without one.

    Args:
        name: the name of the operator in an error.
        count: how many numbers an image has.
        image_shape: `(height, width, channels)`; None for a square, RGB or grey.
        what: what has that many numbers, for an error.

    Raises:
        UserError: if the shape does not fit the count, or no square does.
    """
    if image_shape is not None:
        shape = as_image_shape(name, image_shape)
        if math.prod(shape) != count:
            raise UserError(
                f"{name}: found {what} for images of {count} numbers, expected "
                f"{math.prod(shape)} for images of {shape}"
            )
        return shape
    for channels in (3, 1):
        side = math.isqrt(count // channels)
        if side**2 * channels == count:
            return side, side, channels
    raise UserError(
        f"{name}: found {what} for images of {count} numbers, which do not make a "
        "square, RGB or grey, expected image_shape=(height, width, channels) too"
    )
