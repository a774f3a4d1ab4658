"""Adds a perceptual distance to the squared error in the loss (Appendices A.3, A.4).

    ||A(G) - y||^2 / m  +  weight * d(A(G), y)

Where y is a picture with enough pixels, the paper adds LPIPS on VGG16 to ILO's loss,
and Gu et al.'s l1 distance of VGG features to mGANprior's.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.arrays import as_array
from rtil_jax.errors import UserError
from rtil_jax.inversion.problems import Problem, over_images, settle
from rtil_jax.inversion.readings import first_line
from rtil_jax.metrics.perceptual import Perceptual
from rtil_jax.metrics.perceptual.networks import LEAST_SIZE
from rtil_jax.operators import OPERATORS, Inpainting, ParallelBeamCT
from rtil_jax.operators.interface import ImageShape
from rtil_jax.operators.masks import scale

# Problems whose y is a picture.
PICTURED = (
    "inpainting",
    "box_inpainting",
    "super_resolution",
    "gaussian_deblurring",
    "motion_deblurring",
    "colourisation",
    "denoising",
)
_UNPICTURED: tuple[type, ...] = (
    ParallelBeamCT,
    *(kind for name, kind in OPERATORS.items() if name not in PICTURED),
)


@struct.dataclass
class PerceptualLoss:
    """A perceptual distance between A(G) and y, which can be added to the loss.

    Attributes:
        distance: d, a `rtil_jax.metrics.perceptual.Perceptual`.
        weight: the factor of d in the loss.
        fill: how inpainting problems are compared. True compares G with
            y + (1 - mask) * G, in which G fills the gaps, as the public code of ILO
            does. False compares mask * G with y, in which the gaps are grey, as the
            public code of mGANprior does.
    """

    distance: Any
    weight: Any
    fill: bool = struct.field(pytree_node=False, default=True)

    def prepare(self, problem: Problem) -> Problem:
        """Returns the problem with the features of y, so that they are computed once.

        Raises:
            UserError: if y is not a picture.
        """
        y = as_array("problem.measurements", problem.measurements)
        shape, real = y.shape[1:], jnp.issubdtype(y.dtype, jnp.floating)
        unpictured = isinstance(problem.operators, _UNPICTURED)
        if len(shape) != 3 or unpictured or not real:
            raise UserError(
                f"perceptual: found {type(problem.operators).__name__}, whose "
                f"measurements ({y.dtype} of shape {shape}) are not pictures, expected "
                f"one of {', '.join(PICTURED)}"
            )
        if self._fills(problem):
            return problem
        features = jax.jit(lambda loss, y: loss.distance.features(enlarge(y)))
        return dataclasses.replace(problem, features=features(self, jnp.asarray(y)))

    def __call__(
        self, problem: Problem, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, " batch"]:
        """Returns the loss of images in [-1, 1]; `problem` comes from `prepare`."""
        if problem.shared is None:
            _, height, width, channels = images.shape
            problem = settle(problem, (height, width, channels))
        if self._fills(problem):
            # Both sides move with G, so there are no features to keep.
            gaps = over_images(lambda a, x: scale(1 - a.mask, x), problem, images)
            filled = problem.measurements + gaps
            distance = self.distance(enlarge(images), enlarge(filled))
        else:
            measured = over_images(lambda a, x: a(x), problem, images)
            features = self.distance.features(enlarge(measured))
            distance = self.distance.distance(features, problem.features)
        return self.weight * distance

    def _fills(self, problem: Problem) -> bool:
        return self.fill and isinstance(problem.operators, Inpainting)


@struct.dataclass
class OwnLoss:
    """A user's function of (problem, images), which is added to the loss.

    Attributes:
        function: returns one number per image.
    """

    function: Any

    def prepare(self, problem: Problem) -> Problem:
        return problem

    def __call__(
        self, problem: Problem, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, " batch"]:
        loss = self.function(problem, images)
        kind, shape = jnp.result_type(loss), jnp.shape(loss)
        if shape != images.shape[:1] or not jnp.issubdtype(kind, jnp.floating):
            raise UserError(
                f"perceptual: found a function that returns {kind} of shape {shape} "
                f"for {len(images)} images, expected one real number per image"
            )
        return loss


Loss = PerceptualLoss | OwnLoss


def as_loss(perceptual: Any, problem: Problem, image_shape: ImageShape) -> Loss | None:
    """Turns the argument `perceptual` of `invert` into a loss.

    Args:
        perceptual: a `PerceptualLoss`, a function of (problem, images), or None.
        problem: the measurements, on which a function is tried.
        image_shape: `(height, width, channels)` of one image.

    Raises:
        UserError: if it is neither, or the function fails on images of this shape.
    """
    is_class = isinstance(perceptual, type)
    if perceptual is None or (hasattr(perceptual, "prepare") and not is_class):
        return perceptual
    name = getattr(perceptual, "__name__", type(perceptual).__name__)
    expected = "expected a PerceptualLoss or a function of (problem, images)"
    if isinstance(perceptual, Perceptual):
        expected = f"expected PerceptualLoss({name}, weight)"
    if isinstance(perceptual, Perceptual) or is_class or not callable(perceptual):
        raise UserError(f"perceptual: found {name}, {expected}")
    loss = OwnLoss(_as_pytree(perceptual))
    batch = (len(problem.measurements), *image_shape)
    try:
        jax.eval_shape(loss, problem, jax.ShapeDtypeStruct(batch, jnp.float32))
    except UserError:
        raise
    except Exception as error:  # a user's code may raise anything
        raise UserError(
            f"perceptual: {name} fails ({first_line(error)}), expected a function of "
            "(problem, images) that returns one number per image"
        ) from error
    return loss


def _as_pytree(function: Callable) -> Any:
    """Wraps a function as a pytree, the only form in which JAX sees its arrays."""
    arrays = all(hasattr(x, "dtype") for x in jax.tree.leaves(function))
    if arrays and not isinstance(function, jax.tree_util.Partial):
        return function
    try:
        hash(function)
    except TypeError:
        return jax.tree_util.Partial(lambda *inputs: function(*inputs))
    return jax.tree_util.Partial(function)


def enlarge(
    images: Float[Array, "batch height width channels"],
) -> Float[Array, "batch _ _ channels"]:
    """Repeats pixels until the images are as large as the networks need."""
    times = -(-LEAST_SIZE // min(images.shape[1:3]))
    for axis in (1, 2) if times > 1 else ():
        images = jnp.repeat(images, times, axis=axis)
    return images
