"""A perceptual distance in the loss, beside the squared error (Appendices A.3, A.4).

    ||A(G) - y||^2 / m  +  weight * d(A(G), y)

The paper adds LPIPS on VGG16 to ILO's loss, and Gu et al.'s l1 distance of VGG features
to mGANprior's, where y is a picture of enough pixels.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.errors import UserError
from rtil_jax.inversion.problems import Problem
from rtil_jax.operators import OPERATORS, Inpainting
from rtil_jax.operators.masks import scale
from rtil_jax.perceptual.networks import LEAST_SIZE

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
_UNPICTURED = tuple(kind for name, kind in OPERATORS.items() if name not in PICTURED)


@struct.dataclass
class PerceptualLoss:
    """weight * d between what is measured of G and y, one number per image.

    Attributes:
        distance: d, a `rtil_jax.perceptual.Perceptual`.
        weight: lambda.
        fill: how an inpainting problem is compared. True: all of G with
            y + (1 - mask) * G, whose gaps G fills, as the public code of ILO does.
            False: mask * G with y, whose gaps are grey, as that of mGANprior does.
    """

    distance: Any
    weight: Any
    fill: bool = struct.field(pytree_node=False, default=True)

    def prepare(self, problem: Problem) -> Problem:
        """The problem with the features of its y, which no step computes again.

        Raises:
            UserError: if y is no picture.
        """
        shape = problem.measurements.shape[1:]
        if len(shape) != 3 or isinstance(problem.operators, _UNPICTURED):
            raise UserError(
                f"perceptual loss: found measurements of shape {shape} by "
                f"{type(problem.operators).__name__}, expected pictures, as of "
                f"{', '.join(PICTURED)}"
            )
        if self._fills(problem):
            return problem
        features = jax.jit(lambda loss, y: loss.distance.features(enlarge(y)))
        return dataclasses.replace(
            problem, features=features(self, problem.measurements)
        )

    def __call__(
        self, problem: Problem, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, " batch"]:
        """The loss of images in [-1, 1]; `problem` is what `prepare` returned."""
        if self._fills(problem):
            # Both sides move with G, so there are no features to keep.
            mask = problem.operators.mask
            filled = problem.measurements + jax.vmap(scale)(1 - mask, images)
            distance = self.distance(enlarge(images), enlarge(filled))
        else:
            measured = jax.vmap(lambda operator, x: operator(x))
            features = self.distance.features(
                enlarge(measured(problem.operators, images))
            )
            distance = self.distance.distance(features, problem.features)
        return self.weight * distance

    def _fills(self, problem: Problem) -> bool:
        return self.fill and isinstance(problem.operators, Inpainting)


def enlarge(
    images: Float[Array, "batch height width channels"],
) -> Float[Array, "batch _ _ channels"]:
    """Pixels repeated the least whole number of times that the networks accept."""
    times = -(-LEAST_SIZE // min(images.shape[1:3]))
    for axis in (1, 2) if times > 1 else ():
        images = jnp.repeat(images, times, axis=axis)
    return images
