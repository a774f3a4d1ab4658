"""What every operator can do, the shapes of images, and measurements with noise."""

from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rtil_jax.operators.masks import scale

ImageShape = tuple[int, int, int]
Images = Float[Array, "*batch height width channels"]


@runtime_checkable
class Operator(Protocol):
    """The interface; `invert` itself calls it and reads `num_measurements`."""

    @property
    def mask(self) -> Array:
        """1 where something is measured, 0 elsewhere; broadcasts to y."""

    @property
    def num_measurements(self) -> Array | int:
        """How many real numbers are measured, for averaging a loss."""

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "Operator":
        """A random operator for images of `(height, width, channels)`.

        `ratio` is the fraction of measurements, of observed pixels, or 1 / factor
        (see `ratios.RATIO_LABELS`).
        """

    def __call__(self, x: Images) -> Array:
        """y = A(x), noiseless; 0 where nothing is measured."""

    def preview(self, y: Array) -> Images:
        """A picture of y in [-1, 1], for people only."""


@runtime_checkable
class LinearOperator(Operator, Protocol):
    """An operator y = A x; all but `PhaseRetrieval` are."""

    def adjoint(self, y: Array) -> Images:
        """A^T y."""


def measure(operator: Operator, x: Array, key: jax.Array, noise_std: float) -> Array:
    """y = A(x) + noise, Gaussian of standard deviation `noise_std` where A measures.

    The noise is in the units of y, which for `PartialCirculant` are ||x|| per entry.
    """
    y = operator(x)
    noise = noise_std * jax.random.normal(key, y.shape, jnp.float32)
    return y + scale(operator.mask, noise)
