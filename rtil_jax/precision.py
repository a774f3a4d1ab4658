"""Keeps images, weights and computations in single precision.

This also holds in a process with JAX_ENABLE_X64=1, which other code may need: arrays
are made in float32 explicitly, and users' arrays are converted where they enter. Only
operators compute in the precision of the images that they are called with.
"""

from typing import Any

import jax
import numpy as np

_SINGLE: dict[Any, Any] = {
    np.dtype(np.float64): np.float32,
    np.dtype(np.complex128): np.complex64,
}


def single(tree: Any) -> Any:
    """Converts float64 arrays of a tree to float32, and complex128 to complex64."""

    def one(x: Any) -> Any:
        narrow = _SINGLE.get(getattr(x, "dtype", None))
        return x if narrow is None else x.astype(narrow)

    return jax.tree.map(one, tree)
