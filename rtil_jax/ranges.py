"""Whether images are what a metric expects: floats, a batch, and a range of values.

Values inside a jitted function are not known while it is traced; then only shapes and
types are checked.
"""

from typing import Any

import jax
import numpy as np

from rtil_jax.errors import UserError

# (x + 1) / 2 in float32, or bfloat16's last digit, is no overshoot.
ROUNDING = 1e-3


def check_pair(metric: str, x: Any, y: Any) -> None:
    """Raises UserError unless x and y are two batches of images of one shape."""
    for name, images in (("x", x), ("y", y)):
        check_batch(metric, name, images)
    if x.shape != y.shape:
        raise UserError(
            f"{metric}: found images of shapes {tuple(x.shape)} and {tuple(y.shape)}, "
            "expected two of one shape"
        )


def check_batch(metric: str, name: str, images: Any) -> None:
    """Raises UserError unless it is `(batch, height, width, channels)` of floats."""
    shape, dtype = getattr(images, "shape", None), getattr(images, "dtype", None)
    if shape is None or dtype is None:
        found = type(images).__name__
        raise UserError(f"{metric}: found {name} of type {found}, expected an array")
    if len(shape) != 4:
        hint = f"; write {name}[None] for one image" if len(shape) == 3 else ""
        raise UserError(
            f"{metric}: found {name} of shape {tuple(shape)}, expected (batch, height, "
            f"width, channels){hint}"
        )
    if not jax.numpy.issubdtype(dtype, jax.numpy.floating):
        raise UserError(
            f"{metric}: found {name} of type {dtype}, expected floats; of 8-bit images "
            f"{name} / 255 is in [0, 1] and {name} / 127.5 - 1 in [-1, 1]"
        )


def check_values(
    metric: str, low: float | int, high: float | int, **images: Any
) -> None:
    """Raises UserError if a value is outside [low, high] by more than rounding.

    NaN and infinities pass: they make the result of their own image NaN or infinite,
    which nobody takes for a number.
    """
    slack = ROUNDING * (high - low)
    for name, array in images.items():
        found = value_range(array)
        if found is None:
            continue
        least, most = found
        if low - slack <= least and most <= high + slack:
            continue
        raise UserError(
            f"{metric}: found {name} from {least:.3g} to {most:.3g}, expected values "
            f"in [{low:g}, {high:g}]; write {_remedy(name, least, most, low, high)}"
        )


def value_range(images: Any) -> tuple[float, float] | None:
    """The least and the largest finite value; None if there is none, or unknown."""
    if isinstance(images, jax.core.Tracer):
        return None
    values = np.asarray(images, np.float32)
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else None


def _remedy(
    name: str, least: float, most: float, low: float | int, high: float | int
) -> str:
    """What to write in place of `name`."""
    if most > 2 * max(abs(low), high):
        return f"{name} / 127.5 - 1" if low < 0 else f"{name} / 255"
    clip = f"jnp.clip({name}, {low:g}, {high:g})"
    if low == 0 and least < 0:
        symmetric = f"jnp.clip(({name} + 1) / 2, 0, 1)"
        if least < -0.5:
            return f"{symmetric} for images in [-1, 1]"
        return f"{clip} if it overshoots, {symmetric} for images in [-1, 1]"
    return f"{clip} where it overshoots"
