"""The type in which networks convolve and keep their activations.

float32, or bfloat16 from 16 pixels on, which GPUs do about twice as fast. bfloat16 has
float32's range and 8 significant bits. Whatever else there is stays float32: weights,
styles and demodulation, sums over channels and pixels, z_k, RGB, losses, and the
features at which a generator is cut.

A network that has the choice is a `flax.linen.Module` with an attribute `precision`.
"""

from typing import Any

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array

from rtil_jax.errors import UserError
from rtil_jax.fields import check, named

KNOWN = named("float32", "bfloat16")
# Pixels of a side; blocks of fewer cost little and stay float32.
BFLOAT16_FROM = 16
# Of activations kept in bfloat16, as StyleGAN2-ADA clamps in half precision.
LARGEST = 256.0


def dtype_at(precision: str, size: int) -> DTypeLike:
    """The type of the activations at `size` pixels.

    Raises:
        UserError: for an unknown precision.
    """
    check(precision, KNOWN, "precision")
    narrow = precision == "bfloat16" and size >= BFLOAT16_FROM
    return jnp.bfloat16 if narrow else jnp.float32


def keep(x: Array, dtype: DTypeLike) -> Array:
    """Activations as they are kept: in bfloat16 clamped to ±256, or as they are."""
    if dtype == jnp.bfloat16:
        x = jnp.clip(x, -LARGEST, LARGEST)
    return x.astype(dtype)


def in_precision(network: Any, precision: Any, field: str = "precision") -> Any:
    """The same network in a precision; it reads the same variables.

    Args:
        network: a generator or discriminator.
        precision: `float32` or `bfloat16`.
        field: what to call it in an error.

    Raises:
        UserError: if it is another, or the network has no attribute `precision` and it
            is not float32.
    """
    check(precision, KNOWN, field)
    if precision == getattr(network, "precision", "float32"):
        return network
    if not hasattr(network, "precision"):
        raise UserError(
            f"{field}: found {precision!r}, expected 'float32' for "
            f"{type(network).__name__}, which has no other"
        )
    return network.clone(precision=precision)
