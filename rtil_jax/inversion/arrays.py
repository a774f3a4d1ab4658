"""The checks of arrays that users hand in: their numbers, shape and range."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rtil_jax.errors import UserError

# What black and white are.
Limits = tuple[float | int, float | int]
# Of the range from black to white: how far beyond it a generator's samples may be.
MARGIN = 1.5
_CONVERT = "rtil_jax.data.to_float(images) makes [-1, 1] of [0, 255]"


def is_traced(tree: Any) -> bool:
    """Whether some array has no values yet, because JAX is tracing a function."""
    return any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(tree))


def as_array(name: str, found: Any) -> Array | np.ndarray:
    """Arrays as they are; lists and what else NumPy reads as NumPy's.

    Raises:
        UserError: if it is no array of numbers.
    """
    if isinstance(found, jax.Array | np.ndarray):
        return found
    try:
        array = np.asarray(found)
    except Exception:
        array = np.asarray(None)
    if array.dtype.kind not in "biufc":
        kind = type(found).__name__
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
    if not is_complex and not jnp.issubdtype(array.dtype, jnp.floating):
        kinds = "real or complex" if complex_too else "real"
        raise UserError(
            f"{name}: found {_extent(array)}, expected {kinds} floating-point "
            f"numbers; {convert}"
        )
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


def as_images(
    name: str, found: Any, value_range: Limits
) -> Float[Array, "batch height width channels"]:
    """float32 images, with a batch axis, that may be in `value_range`.

    Images in [0, 1] cannot be told from dark ones in [-1, 1]. Samples of a generator
    may be somewhat beyond the range, with a warning.

    Raises:
        UserError: if the rank, the kind of numbers or the range is another.
    """
    array = as_array(name, found)
    expected = "(batch, height, width, channels)"
    if array.ndim != 4:
        hint = "; a single one is images[None]" if array.ndim == 3 else ""
        hint = "; a grey one is image[None, :, :, None]" if array.ndim == 2 else hint
        raise UserError(f"{name}: found shape {array.shape}, expected {expected}{hint}")
    if not array.size:
        raise UserError(f"{name}: found shape {array.shape}, expected at least 1 image")
    if array.shape[1] in (1, 3) and min(array.shape[2:]) > 4:
        raise UserError(
            f"{name}: found shape {array.shape}, expected {expected}; "
            "np.moveaxis(images, 1, -1) moves channels to the end"
        )
    images = as_floats(name, array, _CONVERT, complex_too=False)
    if not is_traced(images):
        _check_range(name, np.asarray(array), value_range)
    return images


def _check_range(name: str, images: np.ndarray, limits: Limits) -> None:
    (black, white), size = limits, limits[1] - limits[0]
    low, high = images.min(), images.max()
    beyond = max(high - white, black - low) / size
    message = f"{name}: found {_extent(images)}, expected images in [{black:g}, "
    message += f"{white:g}]"
    if beyond > MARGIN or (black < 0 <= low and beyond > 0.05):
        raise UserError(f"{message}; {_CONVERT}")
    if beyond > 0.05:
        warnings.warn(
            f"{message}; np.clip(images, {black:g}, {white:g}) cuts samples of a "
            "generator, and pixels divided by a standard deviation must be undone",
            stacklevel=4,
        )


def _extent(array: Array | np.ndarray) -> str:
    """The kind of numbers and, where there are any, the least and the greatest."""
    if is_traced(array) or not array.size or np.iscomplexobj(array):
        return f"{array.dtype}"
    values = np.asarray(array)
    return f"{array.dtype} from {values.min():g} to {values.max():g}"
