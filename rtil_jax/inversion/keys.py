"""Makes one PRNG key per image from what the user gives `invert` as a key."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rtil_jax.arrays import as_number
from rtil_jax.errors import UserError

_EXPECTED = "expected a seed, jax.random.key(seed), or one key per image"


def keys_of_images(keys: Any, batch: int) -> jax.Array:
    """Returns one PRNG key per image, `(batch,)`.

    Args:
        keys: one key per image, returned as they are; or one key for all, from which
            image i gets `fold_in(key, i)`; or a seed, a whole number in [0, 2^32).
            Keys in the older form of `jax.random.PRNGKey`, uint32 numbers, work too.
        batch: the number of images.

    Raises:
        UserError: if these are not keys, or neither 1 nor `batch` of them.
    """
    if isinstance(keys, list | tuple) and keys:
        keys = jnp.stack(keys)
    if type(keys) is int or isinstance(keys, np.integer):
        most = 2**32 - 1
        keys = as_number("key", keys, 0, most, "a whole number in [0, 2^32)")
        keys = jax.random.key(keys)
    if not hasattr(keys, "dtype") or not hasattr(keys, "shape"):
        raise UserError(f"keys: found {keys!r}, {_EXPECTED}")
    if not jnp.issubdtype(keys.dtype, jax.dtypes.prng_key):
        keys = _typed(keys)
    if keys.ndim == 0:
        return jax.vmap(jax.random.fold_in, (None, 0))(keys, np.arange(batch))
    if keys.shape != (batch,):
        found = f"{keys.shape[0]} keys" if keys.ndim == 1 else f"keys {keys.shape}"
        raise UserError(f"invert: found {found}, expected {batch}, one per image")
    return keys


def _typed(numbers: Any) -> jax.Array:
    """Keys whose numbers are in an array."""
    size = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0))).shape
    if numbers.dtype != np.uint32 or numbers.shape[-1:] != size:
        raise UserError(
            f"keys: found {numbers.dtype} of shape {numbers.shape}, {_EXPECTED}, as "
            "from jax.random.split(jax.random.key(seed), images)"
        )
    return jax.random.wrap_key_data(jnp.asarray(numbers))
