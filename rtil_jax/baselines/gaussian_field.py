"""Gaussian field: the linear estimate under the power spectrum of natural images.

The power of natural images falls with the frequency f about as 1 / f^2 (Field 1987),
that of faces faster. An image of which no more than that is believed is a stationary
Gaussian field with the covariance

    S = C^T diag((f^2 + corner^2)^(-exponent / 2)) C,

C the cosine transform, which mirrors the image at its edges. The mean of x given
y = A x + noise is then linear in y (Wiener filtering, kriging):

    x = S A^T (A S A^T + damping I)^-1 y.

It is the image of the least energy x^T S^-1 x that is as near to y as the noise allows.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.fft import dctn, idctn
from jax.scipy.sparse.linalg import cg
from jaxtyping import Array, Float

from rtil_jax.arguments import ABOVE_0, NUMBER, WHOLE, argument, clean_arguments
from rtil_jax.baselines.interface import Image, Measured
from rtil_jax.baselines.linear import Data, adjoint, as_vector, forward
from rtil_jax.operators.interface import ImageShape

TOLERANCE = 1e-6
# Of the search for the damping, over twelve powers of ten.
BISECTIONS = 16
DECADES = 12


@dataclasses.dataclass(frozen=True)
class GaussianField:
    """The mean of a Gaussian field with a power-law spectrum, given the measurements.

    It needs no training and takes milliseconds. Every channel is a field of its own.
    How near to y the image is to be follows from the noise (Morozov's discrepancy
    principle): ||A x - y|| = noise_std sqrt(m) for m measurements, and A x = y without
    noise.

    >>> from rtil_jax.operators import Inpainting
    >>> mask = jnp.ones((8, 8)).at[2:5, 2:5].set(0)
    >>> ramp = jnp.broadcast_to(jnp.linspace(-0.7, 0.7, 8)[:, None, None], (8, 8, 1))
    >>> operator = Inpainting(mask)
    >>> measured = Measured(operator, operator(ramp), (8, 8, 1))
    >>> found = GaussianField()(measured)
    >>> bool(jnp.max(jnp.abs(found - ramp)) < 0.1)
    True

    Attributes:
        exponent: of the spectrum, above 0. Tuned on 14 faces: 3 is best, or within
            0.3 dB of it, in all problems at 32 and at 64 pixels.
        corner: below this frequency, in radians per pixel, the spectrum is flat.
        iterations: of conjugate gradients, at most.

    Raises:
        UserError: at once, if an argument has a wrong type or range.
    """

    exponent: Any = argument(3.0, NUMBER, ABOVE_0)
    corner: Any = argument(0.1, NUMBER, ABOVE_0)
    iterations: Any = argument(400, WHOLE)

    def __post_init__(self) -> None:
        clean_arguments(self)

    def __call__(self, measured: Measured, key: jax.Array | None = None) -> Image:
        """Returns the image; `key` is unused."""
        spectrum = power_law(measured.image_shape, self.exponent, self.corner)
        return _mean(measured, spectrum, self.iterations)


def power_law(
    image_shape: ImageShape, exponent: float, corner: float
) -> Float[Array, "height width 1"]:
    """Returns the variance of each coefficient of the cosine transform.

    Args:
        image_shape: `(height, width, channels)`.
        exponent: by which power of the frequency the variance falls.
        corner: below this frequency, in radians per pixel, it is flat.

    The variances have a mean of 1: an average pixel of the field has a variance of 1.
    """
    height, width, _ = image_shape
    rows, columns = (jnp.pi * jnp.arange(size) / size for size in (height, width))
    square = rows[:, None] ** 2 + columns[None] ** 2
    variance = (square + corner**2) ** (-exponent / 2)
    return (variance / jnp.mean(variance))[..., None]


@functools.partial(jax.jit, static_argnames="iterations")
def _mean(measured: Measured, spectrum: Array, iterations: int) -> Image:
    y = as_vector(measured.y)

    def covariance(x: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        image = x.reshape(measured.image_shape)
        waves = spectrum * dctn(image, axes=(0, 1), norm="ortho")
        return idctn(waves, axes=(0, 1), norm="ortho").reshape(-1)

    def explained(r: Data) -> Data:
        return forward(measured, covariance(adjoint(measured, r)))

    def solve(damping: Float[Array, ""] | float) -> Data:
        return cg(
            lambda r: explained(r) + damping * r, y, tol=TOLERANCE, maxiter=iterations
        )[0]

    noise = measured.noise_std * jnp.sqrt(measured.operator.num_measurements)
    largest = jnp.linalg.norm(explained(y)) / jnp.maximum(jnp.linalg.norm(y), 1e-30)

    def damped(low_and_high: tuple[Array, Array]) -> Data:
        """With the damping at which the misfit, damping ||r||, is the noise's."""

        def halve(_: int | Array, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = bounds
            middle = jnp.sqrt(low * high)
            over = middle * jnp.linalg.norm(solve(middle)) > noise
            return jnp.where(over, low, middle), jnp.where(over, middle, high)

        low, high = jax.lax.fori_loop(0, BISECTIONS, halve, low_and_high)
        return solve(jnp.sqrt(low * high))

    span = 10.0 ** (DECADES / 2)
    bounds = largest / span, largest * span
    solved = jax.lax.cond(noise > 0, damped, lambda _: solve(0.0), bounds)
    return covariance(adjoint(measured, solved)).reshape(measured.image_shape)
