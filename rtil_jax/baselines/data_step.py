"""Moves an image towards the measurements: finds the nearest image that explains y.

It uses the operator's `pinv` if it has one, or else conjugate gradients on A A^T.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rtil_jax.baselines.interface import Image, Measured
from rtil_jax.baselines.linear import Data, adjoint, as_vector, forward
from rtil_jax.operators import Linear

ITERATIONS = 100
TOLERANCE = 1e-6


@jax.jit
def data_step(
    measured: Measured, image: Image, damping: Float[Array, ""] | float
) -> Image:
    """Returns the x that minimises ||A x - y||^2 + damping ||x - image||^2.

    A damping of 0 gives the limit, image + A^+ (y - A image). A good damping is
    noise_std^2 / sigma^2, where sigma is the standard deviation of the image's error.

    Args:
        measured: the operator A and y.
        image: `(height, width, channels)`.
        damping: at least 0.
    """
    x = image.reshape(-1).astype(jnp.float32)
    residual = as_vector(measured.y) - forward(measured, x)

    def normal(r: Data) -> Data:
        return forward(measured, adjoint(measured, r)) + damping * r

    solved, _ = jax.scipy.sparse.linalg.cg(
        normal, residual, tol=TOLERANCE, maxiter=ITERATIONS
    )
    return (x + adjoint(measured, solved)).reshape(measured.image_shape)


def back_project(measured: Measured, image: Image) -> Image:
    """Returns image + A^+ (y - A image), which explains y exactly.

    What is measured comes from y, the rest from the image.
    """
    operator = measured.operator
    if isinstance(operator, Linear):
        return image + operator.pinv(measured.y - operator(image))
    return data_step(measured, image, 0.0)
