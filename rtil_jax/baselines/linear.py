"""Treats an operator as a linear map between vectors of real numbers.

A complex measurement counts as two real ones. JAX derives the adjoint, so the operator
need not define it.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rtil_jax.baselines.interface import Measured

Vector = Float[Array, " pixels"]
Data = Float[Array, " numbers"]
POWER_ITERATIONS = 30
# A power iteration approaches the norm from below.
MARGIN = 1.05


def as_vector(y: Array) -> Data:
    """Returns the numbers of an array as one real vector."""
    if jnp.iscomplexobj(y):
        y = jnp.stack([y.real, y.imag])
    return y.reshape(-1).astype(jnp.float32)


@jax.jit
def forward(measured: Measured, x: Vector) -> Data:
    """Returns A x."""
    return as_vector(measured.operator(x.reshape(measured.image_shape)))


@jax.jit
def adjoint(measured: Measured, r: Data) -> Vector:
    """Returns A^T r."""
    zero = jnp.zeros(math.prod(measured.image_shape), jnp.float32)
    _, pull = jax.vjp(functools.partial(forward, measured), zero)
    return pull(r)[0]


@jax.jit
def norm_bound(measured: Measured) -> Float[Array, ""]:
    """Returns the largest singular value of A, or a little more."""
    size = math.prod(measured.image_shape)
    start = jax.random.normal(jax.random.key(0), (size,), jnp.float32)

    def step(_: int | Array, v: Vector) -> Vector:
        w = adjoint(measured, forward(measured, v))
        return w / jnp.maximum(jnp.linalg.norm(w), 1e-30)

    v = jax.lax.fori_loop(0, POWER_ITERATIONS, step, start)
    return MARGIN * jnp.linalg.norm(forward(measured, v))


@jax.jit
def linearity_error(measured: Measured) -> Float[Array, ""]:
    """Returns the relative difference of A(u - v) and A(u) - A(v); 0 if A is linear."""
    size = math.prod(measured.image_shape)
    u, v = jax.random.normal(jax.random.key(0), (2, size), jnp.float32)
    difference = forward(measured, u) - forward(measured, v)
    error = forward(measured, u - v) - difference
    return jnp.linalg.norm(error) / jnp.maximum(jnp.linalg.norm(difference), 1e-30)
