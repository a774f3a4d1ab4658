"""Least squares by conjugate gradients, for pseudo-inverses without a formula."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

MOST_STEPS = 1000


def least_squares(
    forward: Callable[[Array], Array], adjoint: Callable[[Array], Array], y: Array
) -> Array:
    """The x of least norm among those that minimise ||A x - y||: A's pseudo-inverse.

    Conjugate gradients on A^T A x = A^T y from x = 0, in the form that never computes
    A^T A (CGLS: Hestenes and Stiefel 1952, section 10; Bjoerck 1996, section 7.4). It
    stops where A^T of the residual is as small as rounding lets it be, or after 1000
    steps: of an ill-conditioned A, what is missing then are parts of x that A barely
    measures. The best x on the way is returned.

    Args:
        forward: A, of one image.
        adjoint: A^T.
        y: what it measures, real or complex.
    """
    tiny = jnp.finfo(y.dtype).tiny
    gradient = adjoint(y)
    start = _square(gradient)
    floor = jnp.maximum((3 * jnp.finfo(y.dtype).eps) ** 2 * start, tiny)

    def unfinished(state: tuple) -> Array:
        *_, size, _, _, step = state
        return (size > floor) & (step < MOST_STEPS)

    def descend(state: tuple) -> tuple:
        x, residual, direction, size, best, least, step = state
        image = forward(direction)
        length = size / jnp.maximum(_square(image), tiny)
        x, residual = x + length * direction, residual - length * image
        gradient = adjoint(residual)
        smaller = _square(gradient)
        direction = gradient + smaller / size * direction
        # Rounding may lead astray once nothing is left to gain.
        best = jnp.where(smaller < least, x, best)
        least = jnp.minimum(smaller, least)
        return x, residual, direction, smaller, best, least, step + 1

    x, step = jnp.zeros_like(gradient), jnp.zeros((), jnp.int32)
    state = (x, y, gradient, start, x, start, step)
    return jax.lax.while_loop(unfinished, descend, state)[4]


def _square(x: Array) -> Array:
    return jnp.sum(jnp.abs(x) ** 2)
