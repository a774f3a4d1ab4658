"""What every operator can do, the shapes of images, and measurements with noise."""

import math
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rtil_jax.arrays import as_array
from rtil_jax.errors import UserError
from rtil_jax.operators.masks import scale

ImageShape = tuple[int, int, int]
Images = Float[Array, "*batch height width channels"]


@runtime_checkable
class Operator(Protocol):
    """What `invert` needs of an operator: to call it on an image, and a count."""

    @property
    def num_measurements(self) -> Array | float | int:
        """By what ||A(x) - y||^2 is divided: how many real numbers are measured.

        One number for each image. A complex measurement counts as two.
        """

    def __call__(self, x: Images) -> Array:
        """y = A(x) of one image, noiseless; real or complex."""


@runtime_checkable
class ImagingOperator(Operator, Protocol):
    """What the operators of this library can do besides, for sweeps and pictures."""

    @property
    def mask(self) -> Array:
        """1 where something is measured, 0 elsewhere; broadcasts to y."""

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "ImagingOperator":
        """A random operator for images of `(height, width, channels)`.

        `ratio` is the fraction of measurements, of observed pixels, or 1 / factor
        (see `ratios.RATIO_LABELS`).
        """

    def preview(self, y: Array) -> Images:
        """A picture of y in [-1, 1], for people only."""


@runtime_checkable
class LinearOperator(Operator, Protocol):
    """An operator y = A x; all but `PhaseRetrieval` are."""

    def adjoint(self, y: Array) -> Images:
        """A^T y."""


def measure(operator: Any, x: Any, key: jax.Array, noise_std: Any) -> Array:
    """y = A(x) + noise, Gaussian of standard deviation `noise_std` where A measures.

    The noise is in the units of y. Those of operators whose y is a picture are pixels;
    for the others see their classes, and `operators.noise.signal_to_noise` in dB. Of a
    complex y the real and the imaginary part get noise of `noise_std` each. An operator
    without a `mask` measures everywhere.

    Raises:
        UserError: if the pixels or y are not floating-point numbers.
    """
    x = as_array("measure: images", x)
    _require_floating(x, "images", jnp.floating)
    y = operator(jnp.asarray(x))
    _require_floating(y, f"measurements by {type(operator).__name__}", jnp.inexact)
    noise = noise_std * jax.random.normal(key, y.shape, y.dtype)
    if jnp.iscomplexobj(y):  # JAX's complex normal numbers have variance 1 in all
        noise = math.sqrt(2) * noise
    mask = getattr(operator, "mask", None)
    return y + (noise if mask is None else scale(mask, noise))


def _require_floating(x: Array | np.ndarray, name: str, kind: type) -> None:
    dtype = jnp.result_type(x)
    if not jnp.issubdtype(dtype, kind):
        raise UserError(
            f"measure: found {name} of {dtype}, expected floating-point numbers "
            "(rtil_jax.data.to_float makes images in [-1, 1] of uint8 pixels)"
        )
