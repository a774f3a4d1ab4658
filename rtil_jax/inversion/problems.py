"""Inverse problems of a batch of images: operators, measurements and their loss.

Arrays in pytrees are typed `Any`: JAX also rebuilds pytrees of shapes and specs.
"""

import dataclasses
import functools
import math
import reprlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, Int

from rtil_jax.arrays import (
    TO_FLOAT,
    as_array,
    as_floats,
    as_images,
    as_limits,
    as_number,
    check_images,
    is_traced,
    warn_of_range,
)
from rtil_jax.compiling import compiled
from rtil_jax.errors import UserError
from rtil_jax.inversion.readings import read_operators
from rtil_jax.operators import Poisson, measure, sample_operators
from rtil_jax.operators.interface import ImageShape
from rtil_jax.operators.noise import PICTURED, noise_unit, photons

Placement = jax.sharding.Sharding | jax.sharding.PartitionSpec


@struct.dataclass
class HeldOut:
    """What is measured, but not fitted.

    Attributes:
        mask: `(batch, ...)`, which entries of y; it may broadcast over channels.
        share: `(batch,)`, of the measurements.
    """

    mask: Any
    share: Any


@struct.dataclass
class Problem:
    """y = A(x) for a batch of images.

    Attributes:
        operators: one operator for all images, or one per image: then its arrays have
            a leading batch axis, as from `operators.sample_operators`. An
            `operators.Operator`: any pytree to call on an image, with
            `num_measurements`.
        measurements: y, real or complex, `(batch, ...)`: A(x) of each image.
        truth: x, `(batch, height, width, channels)`; read only to select by `oracle`.
        features: of y, for a perceptual loss; see `PerceptualLoss.prepare`.
        held_out: `HeldOut` of y, where some of it chooses the iterate; None for none.
        shared: whether the operator is one for all images. None finds out, by the
            shapes of the operator's arrays and of what it measures.
        noise: `operators.Poisson(peak)` if photons were counted: then the loss is its
            likelihood. None is Gaussian noise, whose likelihood is the squared error.
        noise_std: of the noise on y, in the units of y, for baselines and finishes,
            which go no nearer to y. None, if it is not known, counts as 0.
    """

    operators: Any
    measurements: Any
    truth: Any = None
    features: Any = None
    held_out: Any = None
    shared: bool | None = struct.field(pytree_node=False, default=None)
    noise: Any = struct.field(pytree_node=False, default=None)
    noise_std: Any = struct.field(pytree_node=False, default=None)

    def __repr__(self) -> str:
        """The kind of operator and shapes; no arrays."""
        shape = getattr(self.measurements, "shape", self.measurements)
        truth = "" if self.truth is None else ", truth known"
        return f"Problem({type(self.operators).__name__}, measurements {shape}{truth})"


def noise_of(problem: Any) -> float:
    """`problem.noise_std` checked; 0 where it is not known."""
    found = getattr(problem, "noise_std", None)
    if found is None:
        return 0.0
    expected = "a number of at least 0, or None"
    return as_number("problem.noise_std", found, 0.0, math.inf, expected)


def settle(problem: Any, image_shape: ImageShape) -> Problem:
    """The problem checked, with `shared` found out and arrays in single precision.

    It is without `noise_std`, so that what is compiled for it does for any noise.

    Raises:
        UserError: if its parts do not fit each other or images of `image_shape`, or
            hold anything but finite floating-point numbers.
    """
    if not isinstance(problem, Problem):
        raise UserError(
            f"problem: found a {type(problem).__name__}, expected Problem(operators, "
            "measurements), or the first of the two that make_problem returns"
        )
    name, convert = "problem.measurements", f"{TO_FLOAT}, or .astype('float32')"
    y = as_floats(name, problem.measurements, convert, complex_too=True)
    if not y.ndim or not len(y):
        raise UserError(
            f"{name}: found shape {y.shape}, expected (batch, ...) of at least 1 image"
        )
    operators, shared = read_operators(
        problem.operators, y, image_shape, problem.shared
    )
    truth, expected = problem.truth, (len(y), *image_shape)
    if truth is not None:
        truth = as_floats("problem.truth", truth, TO_FLOAT, complex_too=False)
        if truth.shape != expected:
            raise UserError(
                f"problem.truth: found shape {truth.shape}, expected {expected}"
            )
    if noise_unit(operators) in PICTURED:
        warn_of_range(name, y)
    problem = dataclasses.replace(
        problem,
        operators=operators,
        measurements=y,
        truth=truth,
        shared=shared,
        noise_std=None,
    )
    _check_noise(problem)
    counts = count_measurements(problem)
    if not is_traced(counts) and not np.all((counts > 0) & np.isfinite(counts)):
        raise UserError(
            f"problem.operators: found num_measurements = {np.min(counts):g}, "
            "expected above 0"
        )
    return problem


def _check_noise(problem: Problem) -> None:
    noise = problem.noise
    if noise is not None and not isinstance(noise, Poisson):
        raise UserError(
            f"problem.noise: found {reprlib.repr(noise)}, expected Poisson(peak), or "
            "None for Gaussian noise"
        )
    if noise is not None and jnp.iscomplexobj(problem.measurements):
        raise UserError(
            "problem.noise: found Poisson with complex measurements, expected real "
            "amounts of light"
        )


def over_images(function: Callable, problem: Problem, *batched: Any) -> Any:
    """`function(operator, *of one image)` for every image, of a settled problem."""
    axes = (None if problem.shared else 0, *[0] * len(batched))
    return jax.vmap(function, axes)(problem.operators, *batched)


def map_batched(function: Callable, problem: Problem) -> Problem:
    """`function` of every array with a batch axis; a shared operator stays."""
    if not problem.shared:
        return jax.tree.map(function, problem)
    rest = jax.tree.map(function, dataclasses.replace(problem, operators=None))
    return dataclasses.replace(rest, operators=problem.operators)


def placed(problem: Problem, images: Placement, everywhere: Placement) -> Problem:
    """A pytree like `problem`: `images` for arrays of a batch, `everywhere` for the
    others."""
    placed = map_batched(lambda _: images, problem)
    if not problem.shared:
        return placed
    operators = jax.tree.map(lambda _: everywhere, problem.operators)
    return dataclasses.replace(placed, operators=operators)


def count_measurements(problem: Problem) -> Float[Array, " *batch"]:
    """m of each image, or of all if they share the operator."""
    return _counts(problem.operators, problem.shared)


@functools.partial(jax.jit, static_argnames="shared")
def _counts(operators: Any, shared: bool | None) -> Float[Array, " *batch"]:
    def count(operator: Any) -> Float[Array, ""]:
        return jnp.asarray(operator.num_measurements, jnp.float32)

    return count(operators) if shared else jax.vmap(count)(operators)


def measurement_loss(problem: Any, images: Any) -> Float[Array, " batch"]:
    """||A(G) - y||^2 / m, the mean squared error over the m measured numbers.

    Of a problem with `noise=Poisson(peak)` the loss is that of `Poisson.loss`.

    Args:
        problem: of the images.
        images: G, `(batch, height, width, channels)` floating-point numbers.

    Raises:
        UserError: if the problem does not fit the images.
    """
    images = check_images("measurement_loss: images", images)
    problem = settle(problem, images.shape[1:])
    if len(images) != len(problem.measurements):
        raise UserError(
            f"images: found {len(images)}, expected {len(problem.measurements)}, one "
            "for each measurement"
        )
    return data_loss(problem, jnp.asarray(images))


def data_loss(
    problem: Problem, images: Float[Array, "batch height width channels"]
) -> Float[Array, " batch"]:
    """`measurement_loss` of a settled problem, of what is not held out."""

    def one_image(operator: Any, y: Array, x: Array, held: Any = None) -> Array:
        losses, count = _losses(problem, operator, y, x), operator.num_measurements
        if held is not None:
            losses = jnp.where(held.mask, 0, losses)
            count = count * (1 - held.share)
        return jnp.sum(losses) / count

    held = () if problem.held_out is None else (problem.held_out,)
    loss = over_images(one_image, problem, problem.measurements, images, *held)
    return loss.astype(jnp.float32)


def held_out_error(
    problem: Problem, images: Float[Array, "batch height width channels"]
) -> Float[Array, " batch"]:
    """`data_loss` of what is held out; 0 if nothing is."""

    def one_image(operator: Any, y: Array, x: Array, held: HeldOut) -> Array:
        losses = jnp.where(held.mask, _losses(problem, operator, y, x), 0)
        count = operator.num_measurements * jnp.maximum(held.share, 1e-12)
        return jnp.sum(losses) / count

    of = problem.measurements, images, problem.held_out
    return over_images(one_image, problem, *of).astype(jnp.float32)


def mean_square(problem: Problem) -> Float[Array, " batch"]:
    """||y||^2 / m of a settled problem."""

    def one_image(operator: Any, y: Array) -> Array:
        return jnp.sum(_squares(y)) / operator.num_measurements

    return over_images(one_image, problem, problem.measurements).astype(jnp.float32)


def photon_variance(
    problem: Problem, image_shape: ImageShape
) -> Float[Array, " batch"]:
    """Mean variance of the noise on y, of a settled problem with Poisson noise."""
    x = jnp.zeros(image_shape, jnp.float32)

    def one_image(operator: Any, y: Array) -> Array:
        return problem.noise.variance(operator, x, y)

    return over_images(one_image, problem, problem.measurements).astype(jnp.float32)


def _losses(problem: Problem, operator: Any, y: Array, x: Array) -> Array:
    """The loss of each entry of y, of one image."""
    if problem.noise is not None:
        return problem.noise.losses(operator, x, y)
    return _squares(operator(x) - y)


def _squares(error: Array) -> Array:
    """|error|^2 of real or complex numbers."""
    if jnp.iscomplexobj(error):
        return error.real**2 + error.imag**2
    return error**2


def image_keys(
    seed: int, indices: Int[Array | np.ndarray, " batch"]
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(operator, noise, start) keys of each image; they depend on its index alone."""
    return _image_keys(jax.random.key(seed), indices)


def _keys_of(
    root: jax.Array, indices: Int[Array | np.ndarray, " batch"]
) -> tuple[jax.Array, jax.Array, jax.Array]:
    split = jax.vmap(lambda index: jax.random.split(jax.random.fold_in(root, index), 3))
    operator, noise, start = split(indices).T
    return operator, noise, start


_image_keys = compiled(_keys_of, once=True)


def make_problem(
    problem: Any,
    truth: Any,
    indices: Any,
    *,
    ratio: Any,
    seed: Any,
    noise_std: Any = 0.0,
    value_range: Any = (-1, 1),
    peak: Any = None,
) -> tuple[Problem, jax.Array]:
    """Measures images in [-1, 1], each with an operator of its own.

    >>> import numpy as np
    >>> images = np.zeros((2, 8, 8, 3), np.float32)
    >>> problem, keys = make_problem("inpainting", images, (0, 1), ratio=0.5, seed=0)
    >>> problem.measurements.shape, keys.shape
    ((2, 8, 8, 3), (2,))

    Args:
        problem: a name in `operators.OPERATORS`.
        truth: the images, `(batch, height, width, channels)` floating-point numbers;
            `rtil_jax.data.to_float` makes them of uint8 ones.
        indices: of the images in their data set, from which their keys are folded.
        ratio: of measurements; the masks of smaller ratios are nested in it.
        seed: of operators, noise and starting points.
        noise_std: of Gaussian noise, in the units of y: of pixels in [-1, 1] where y
            is a picture; for other operators see their classes.
        value_range: what black and white are, if not -1 and 1.
        peak: photons of a white pixel; with it the noise is Poisson's, of problems
            whose y is a picture.

    Returns:
        The problem, and a key for the inversion of each image.

    Raises:
        UserError: for images of another shape, kind of numbers or range, NaN, indices
            that do not fit them, or as `operators.sample_operator`.
    """
    limits = as_limits("make_problem: value_range", value_range)
    truth = as_images("make_problem: truth", truth, limits)
    indices = _as_indices(indices, len(truth))
    most = 2**32 - 1
    seed = as_number("seed", seed, 0, most, "a whole number in [0, 2^32)")
    noise_std = as_number(
        "noise_std", noise_std, 0.0, math.inf, "a number of at least 0"
    )
    noise = None if peak is None else photons(problem, peak, noise_std, limits)
    operator_keys, noise_keys, start_keys = image_keys(seed, indices)
    _, height, width, channels = truth.shape
    shape = height, width, channels
    operators = sample_operators(problem, operator_keys, shape, ratio)

    def noisy(operator: Any, x: Array, key: jax.Array) -> Array:
        return measure(operator, x, key, noise_std, noise=noise)

    y = jax.vmap(noisy)(operators, truth, noise_keys)
    problem = Problem(operators, y, truth, noise=noise, noise_std=noise_std)
    return problem, start_keys


def _as_indices(found: Any, batch: int) -> Array | np.ndarray:
    """Whole numbers, one per image."""
    name = "make_problem: indices"
    indices = as_array(name, found)
    fits = indices.shape == (batch,) and jnp.issubdtype(indices.dtype, jnp.integer)
    if not fits:
        raise UserError(
            f"{name}: found {indices.dtype} of shape {indices.shape}, expected whole "
            f"numbers of shape ({batch},), one per image"
        )
    # Training folds 2^31 - 1 into the key of the same seed.
    if not is_traced(indices) and not 0 <= indices.min() <= indices.max() < 2**31 - 1:
        raise UserError(
            f"{name}: found {indices.min()} to {indices.max()}, expected numbers in "
            "[0, 2^31 - 1)"
        )
    return indices.astype(np.int32)
