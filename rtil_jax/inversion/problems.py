"""Inverse problems of a batch of images: operators, measurements and their loss.

Arrays in pytrees are typed `Any`, because JAX also builds these pytrees with shapes or
specs in place of arrays.
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
    """The measurements that are held out from a fit.

    Attributes:
        mask: `(batch, ...)`, marks their entries in y; it may broadcast over channels.
        share: `(batch,)`, their share of all measurements.
    """

    mask: Any
    share: Any


@struct.dataclass
class Problem:
    """An inverse problem y = A(x) + noise for a batch of images.

    Attributes:
        operators: A, an `operators.Operator`: any pytree with `num_measurements` that
            can be called on an image. Either one for all images, or one per image;
            then its arrays have a leading batch axis, as from
            `operators.sample_operators`.
        measurements: y, real or complex, `(batch, ...)`: the measurements of each
            image.
        truth: x, `(batch, height, width, channels)` in [-1, 1], or None. Only
            `select="oracle"` reads it.
        features: the features of y for a perceptual loss; `PerceptualLoss.prepare`
            sets them.
        held_out: the `HeldOut` measurements, or None.
        shared: whether all images share one operator. None finds out from the shapes
            of the operator's arrays and of its measurements.
        noise: None for Gaussian noise, where the loss is the squared error, or
            `operators.Poisson(peak)` for counted photons, where it is their likelihood.
        noise_std: standard deviation of the noise on y, in the units of y, at least 0.
            Baselines and finishes fit y no better than that. None counts as 0.
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
        """Shows the kind of operator and the shapes, not the arrays."""
        shape = getattr(self.measurements, "shape", self.measurements)
        truth = "" if self.truth is None else ", truth known"
        return f"Problem({type(self.operators).__name__}, measurements {shape}{truth})"


def noise_of(problem: Any) -> float:
    """Returns `problem.noise_std` after checking it; 0 if it is None."""
    found = getattr(problem, "noise_std", None)
    if found is None:
        return 0.0
    expected = "a number of at least 0, or None"
    return as_number("problem.noise_std", found, 0.0, math.inf, expected)


def settle(problem: Any, image_shape: ImageShape) -> Problem:
    """Checks a problem, finds out `shared`, and converts arrays to single precision.

    The result has no `noise_std`, so that a program compiled for it serves any noise.

    Raises:
        UserError: if its parts do not fit each other or images of `image_shape`, or
            hold anything but finite floating-point numbers.
    """
    if not isinstance(problem, Problem):
        raise UserError(
            f"problem: found a {type(problem).__name__}, expected Problem(operators, "
            "measurements), or the first value that make_problem returns"
        )
    name, convert = "problem.measurements", f"{TO_FLOAT}, or .astype('float32')"
    y = as_floats(name, problem.measurements, convert, complex_too=True)
    if not y.ndim or not len(y):
        raise UserError(
            f"{name}: found shape {y.shape}, expected (batch, ...) with a batch of at "
            "least 1"
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
    """Calls `function(operator, *batched)` for every image of a settled problem."""
    axes = (None if problem.shared else 0, *[0] * len(batched))
    return jax.vmap(function, axes)(problem.operators, *batched)


def map_batched(function: Callable, problem: Problem) -> Problem:
    """Applies `function` to every array with a batch axis; keeps a shared operator."""
    if not problem.shared:
        return jax.tree.map(function, problem)
    rest = jax.tree.map(function, dataclasses.replace(problem, operators=None))
    return dataclasses.replace(rest, operators=problem.operators)


def placed(problem: Problem, images: Placement, everywhere: Placement) -> Problem:
    """Returns a pytree like `problem` that says where each of its arrays belongs.

    Args:
        problem: as `settle` returns it.
        images: what stands for arrays with a batch axis, such as a PartitionSpec.
        everywhere: what stands for arrays that all images share.
    """
    placed = map_batched(lambda _: images, problem)
    if not problem.shared:
        return placed
    operators = jax.tree.map(lambda _: everywhere, problem.operators)
    return dataclasses.replace(placed, operators=operators)


def count_measurements(problem: Problem) -> Float[Array, " *batch"]:
    """Returns m, the number of measurements, for each image or the shared operator."""
    return _counts(problem.operators, problem.shared)


@functools.partial(jax.jit, static_argnames="shared")
def _counts(operators: Any, shared: bool | None) -> Float[Array, " *batch"]:
    def count(operator: Any) -> Float[Array, ""]:
        return jnp.asarray(operator.num_measurements, jnp.float32)

    return count(operators) if shared else jax.vmap(count)(operators)


def measurement_loss(problem: Any, images: Any) -> Float[Array, " batch"]:
    """Returns ||A(G) - y||^2 / m, the mean squared error over the m measured numbers.

    For a problem with `noise=Poisson(peak)` it returns `Poisson.loss` instead.

    Args:
        problem: a `Problem`.
        images: G, `(batch, height, width, channels)` floating-point numbers in [-1, 1].

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
    """Returns `measurement_loss` of a settled problem without what is held out."""

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
    """Returns the loss on the held-out measurements; 0 if nothing is held out."""

    def one_image(operator: Any, y: Array, x: Array, held: HeldOut) -> Array:
        losses = jnp.where(held.mask, _losses(problem, operator, y, x), 0)
        count = operator.num_measurements * jnp.maximum(held.share, 1e-12)
        return jnp.sum(losses) / count

    of = problem.measurements, images, problem.held_out
    return over_images(one_image, problem, *of).astype(jnp.float32)


def mean_square(problem: Problem) -> Float[Array, " batch"]:
    """Returns ||y||^2 / m of each image of a settled problem."""

    def one_image(operator: Any, y: Array) -> Array:
        return jnp.sum(_squares(y)) / operator.num_measurements

    return over_images(one_image, problem, problem.measurements).astype(jnp.float32)


def photon_variance(
    problem: Problem, image_shape: ImageShape
) -> Float[Array, " batch"]:
    """Returns the mean variance of Poisson noise on y for each image."""
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
    """Returns the keys (operator, noise, start) of each image.

    The keys of an image depend on the seed and its index alone.
    """
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
    """Measures images in [-1, 1], each with its own randomly drawn operator.

    >>> import numpy as np
    >>> images = np.zeros((2, 8, 8, 3), np.float32)
    >>> problem, keys = make_problem("inpainting", images, (0, 1), ratio=0.5, seed=0)
    >>> problem.measurements.shape, keys.shape
    ((2, 8, 8, 3), (2,))

    Args:
        problem: a name in `operators.OPERATORS`, such as `inpainting`.
        truth: the images, `(batch, height, width, channels)` floating-point numbers;
            `rtil_jax.data.to_float` converts uint8 images.
        indices: `(batch,)` whole numbers, the index of each image in its data set. The
            keys of an image are folded from its index.
        ratio: how much is measured; its meaning depends on the problem (see
            `operators`). Masks of smaller ratios are nested in those of larger ones.
        seed: of operators, noise and starting points, a whole number in [0, 2^32).
        noise_std: standard deviation of Gaussian noise, at least 0, in the units of y.
            Where y is a picture, these are pixels in [-1, 1]; the classes of other
            operators state theirs.
        value_range: the values of black and white in `truth`.
        peak: mean number of photons of a white pixel, for Poisson noise; for problems
            whose y is a picture.

    Returns:
        The problem, and a PRNG key for the inversion of each image.

    Raises:
        UserError: if the images have a wrong shape, type or range or hold NaN, if the
            indices do not fit them, or if `operators.sample_operator` raises it.
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
    """Checks the indices: whole numbers, one per image."""
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
