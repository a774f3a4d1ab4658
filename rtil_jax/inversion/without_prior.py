"""Recognises and runs methods that need no prior.

A method may bring its own network (`own_prior`); it then runs like a method with a
prior. A baseline (`rtil_jax.baselines`) is a callable that recovers one image after the
other, on the host.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rtil_jax.baselines.interface import Measured, misfit
from rtil_jax.baselines.linear import linearity_error
from rtil_jax.baselines.packages import require_packages
from rtil_jax.errors import UserError
from rtil_jax.inversion.problems import Problem
from rtil_jax.operators.interface import ForwardOperator, ImageShape

# A Fourier transform in float32 rounds 100 times less than this.
LINEAR = 1e-3


def is_baseline(method: Any) -> bool:
    """Tells whether a method is a baseline, which has no stages."""
    return callable(method) and not hasattr(method, "stages")


def needs_prior(method: Any) -> bool:
    """Tells whether a method searches the range of a generator that the user gives."""
    return not is_baseline(method) and not hasattr(method, "own_prior")


def image_shape_of(problem: Any) -> ImageShape:
    """Returns `(height, width, channels)` of the images, from the problem alone.

    Raises:
        UserError: if neither its truth nor its operator has the shape.
    """
    truth = getattr(problem, "truth", None)
    if truth is not None and jnp.ndim(truth) == 4:
        _, height, width, channels = jnp.shape(truth)
        return height, width, channels
    operators = getattr(problem, "operators", None)
    shape = getattr(operators, "image_shape", None)
    if isinstance(operators, ForwardOperator):
        # A mask leaves the number of channels open; y has as many as the images.
        y = (0, 0, 0, *jnp.shape(problem.measurements))[-3:]
        pattern = operators._input_pattern()
        shape = [n if n else size for n, size in zip(pattern, y, strict=True)]
    if shape is None:
        raise UserError(
            f"problem.operators: found {type(operators).__name__} without image_shape, "
            "expected that attribute, (height, width, channels), for a method without "
            "a prior"
        )
    height, width, channels = shape
    return height, width, channels


def measured_images(
    problem: Problem, image_shape: ImageShape, noise_std: float
) -> Iterator[Measured]:
    """Yields the operator and measurements of each image of a settled problem.

    Args:
        problem: as `settle` returns it.
        image_shape: `(height, width, channels)` of one image.
        noise_std: standard deviation of the noise on y, at least 0.
    """
    for index, y in enumerate(problem.measurements):
        operator = problem.operators
        if not problem.shared:
            operator = jax.tree.map(lambda x, i=index: x[i], operator)
        yield Measured(operator, y, image_shape, jnp.float32(noise_std))


def require_linear(who: str, measured: Measured) -> None:
    """Raises UserError unless A is linear; the message says that `who` needs it."""
    if not float(linearity_error(measured)) < LINEAR:
        name = type(measured.operator).__name__
        raise UserError(f"{who}: found {name}, expected a linear operator")


def check_baseline(baseline: Any, problem: Problem, measured: Measured) -> None:
    """Raises UserError if a baseline lacks a package or cannot use the operator.

    Args:
        baseline: the baseline.
        problem: as `settle` returns it.
        measured: the operator and measurements of one image.
    """
    name = type(baseline).__name__
    require_packages(f"method: {name}", getattr(baseline, "packages", ()))
    expected = misfit(baseline, type(problem.operators))
    if expected:
        kind = type(problem.operators).__name__
        raise UserError(f"method: found {name} for {kind}, expected {expected}")
    if hasattr(baseline, "packages") and not hasattr(baseline, "kinds"):
        require_linear(f"method: {name}", measured)


def recover(
    baseline: Any,
    problem: Problem,
    image_shape: ImageShape,
    noise_std: float,
    keys: jax.Array,
    on_image: Callable[[int], None],
) -> Float[Array, "batch height width channels"]:
    """Recovers images with a baseline, one after the other.

    Args:
        baseline: the baseline.
        problem: as `settle` returns it.
        image_shape: `(height, width, channels)` of one image.
        noise_std: standard deviation of the noise on y, at least 0.
        keys: `(batch,)`, one PRNG key per image.
        on_image: called with the index of each image when it is done.

    Raises:
        UserError: if the baseline does not fit the operators, or returns another shape.
    """
    images = []
    for index, measured in enumerate(measured_images(problem, image_shape, noise_std)):
        if index == 0:
            check_baseline(baseline, problem, measured)
        image = jnp.asarray(baseline(measured, keys[index]), jnp.float32)
        if image.shape != image_shape:
            raise UserError(
                f"method: found an image of shape {image.shape} from "
                f"{getattr(baseline, '__name__', type(baseline).__name__)}, expected "
                f"{image_shape}"
            )
        images.append(image)
        on_image(index)
    return jnp.stack(images)
