"""Inverse problems of a batch of images: operators, measurements and their loss.

Arrays in pytrees are typed `Any`: JAX also rebuilds pytrees of shapes and specs.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, Int

from rtil_jax.operators import measure, sample_operators
from rtil_jax.precision import single


@struct.dataclass
class Problem:
    """y = A(x) for a batch of images, every leaf with a leading batch axis.

    Attributes:
        operators: one operator per image, from `operators.sample_operators`.
        measurements: y.
        truth: x, `(batch, height, width, channels)`; read only to select by `oracle`.
        features: of y, for a perceptual loss; see `PerceptualLoss.prepare`.
    """

    operators: Any
    measurements: Any
    truth: Any = None
    features: Any = None


def measurement_loss(
    problem: Problem, images: Float[Array, "batch height width channels"]
) -> Float[Array, " batch"]:
    """||A(G) - y||^2 / m, the mean squared error over the m measured numbers."""

    def one_image(operator, y, x):
        return jnp.sum((operator(x) - y) ** 2) / operator.num_measurements

    return jax.vmap(one_image)(problem.operators, problem.measurements, images)


def image_keys(
    seed: int, indices: Int[Array | np.ndarray, " batch"]
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(operator, noise, start) keys of each image; they depend on its index alone."""
    root = jax.random.key(seed)
    split = jax.vmap(lambda index: jax.random.split(jax.random.fold_in(root, index), 3))
    operator, noise, start = split(indices).T
    return operator, noise, start


def make_problem(
    problem: str,
    truth: Float[Array | np.ndarray, "batch height width channels"],
    indices: Int[Array | np.ndarray, " batch"],
    *,
    ratio: float,
    seed: int,
    noise_std: float = 0.0,
) -> tuple[Problem, jax.Array]:
    """Measures images in [-1, 1], each with an operator of its own.

    Args:
        problem: a name in `operators.OPERATORS`.
        truth: the images.
        indices: of the images in their data set, from which their keys are folded.
        ratio: of measurements; the masks of smaller ratios are nested in it.
        seed: of operators, noise and starting points.
        noise_std: of Gaussian noise, in the units of y.

    Returns:
        The problem, and a key for the inversion of each image.
    """
    operator_keys, noise_keys, start_keys = image_keys(seed, indices)
    _, height, width, channels = truth.shape
    shape = height, width, channels
    operators = sample_operators(problem, operator_keys, shape, ratio)
    images = single(jnp.asarray(truth))
    noisy = jax.vmap(measure, in_axes=(0, 0, 0, None))
    measurements = noisy(operators, images, noise_keys, noise_std)
    return Problem(operators, measurements, images), start_keys
