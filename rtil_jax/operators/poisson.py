"""Poisson noise: simulates counted photons, and computes their likelihood."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rtil_jax.arrays import as_limits, as_number, is_traced
from rtil_jax.errors import UserError
from rtil_jax.operators.masks import scale

# Below half a photon, or this share of white, a parabola continues the likelihood.
LEAST = 1e-3


@dataclasses.dataclass(frozen=True)
class Poisson:
    """Noise of counted photons: a white pixel has `peak` photons on average.

    If u is the image in [0, 1], from black to white, then counts ~ Poisson(peak *
    A(u)). y is counts / peak, converted to the units of A(x), so its mean is A(x). A
    must not measure negative amounts of light: it can be a mask, a blur, downsampling,
    or sums along rays. Negative values of a bicubic kernel count as no light.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from rtil_jax.operators import Denoising, measure
    >>> x = jnp.zeros((8, 8, 3))  # mid-grey: 50 photons with deviation sqrt(50)
    >>> y = measure(Denoising(x.shape), x, jax.random.key(0), noise=Poisson(peak=100))
    >>> bool(abs(y.std() - 2 * 50**0.5 / 100) < 0.03)
    True

    Attributes:
        peak: mean number of photons of a white pixel, above 0.
        limits: the values of black and white in the images.
    """

    peak: Any
    limits: Any = (-1, 1)

    def __post_init__(self) -> None:
        expected = "a number above 0: the photons of a white pixel"
        least = math.nextafter(0.0, 1.0)
        peak = as_number("Poisson: peak", self.peak, least, math.inf, expected)
        object.__setattr__(self, "peak", float(peak))
        object.__setattr__(self, "limits", as_limits("Poisson: limits", self.limits))

    def measure(self, operator: Any, x: Array, key: jax.Array) -> Array:
        """Draws y of one image.

        Args:
            operator: A, which measures amounts of light.
            x: the image, `(height, width, channels)`.
            key: the PRNG key of the photons.

        Raises:
            UserError: if A measures negative amounts, or complex numbers.
        """
        y = operator(x)
        if jnp.iscomplexobj(y):
            raise UserError(
                f"Poisson: found {type(operator).__name__}, which measures complex "
                "numbers, expected amounts of light"
            )
        light = self._light(operator, x, y)
        if not is_traced(light) and jnp.min(light) < -0.5 * jnp.max(light):
            raise UserError(
                f"Poisson: found {type(operator).__name__}, which measures negative "
                "amounts, expected amounts of light, such as a mask or a blur measures"
            )
        counts = jax.random.poisson(key, self.peak * jnp.maximum(light, 0))
        return y + (self.limits[1] - self.limits[0]) * (
            counts.astype(y.dtype) / self.peak - light
        )

    def losses(self, operator: Any, x: Array, y: Array) -> Float[Array, "*entries"]:
        """Returns the scaled negative log-likelihood of each entry of y given an image.

        It is (white - black)^2 (v - z + z log(z / v)), where v is the light of x and z
        the light of y as shares of white, and 0 for entries that are not measured. This
        is the deviance over 2 * peak. It has the units of a squared error of pixels,
        and is close to it at mid-grey, so the same learning rates suit both. It is 0 if
        x explains y exactly.

        Args:
            operator: A.
            x: an image, `(height, width, channels)`.
            y: the measurements.
        """
        predicted = operator(x)
        v = self._light(operator, x, predicted)
        z = jnp.maximum(self._light(operator, x, y), 0)
        floor = max(0.5 / self.peak, LEAST)
        w = jnp.maximum(v, floor)
        deviance = w - z + jax.scipy.special.xlogy(z, z) - z * jnp.log(w)
        # Below the floor its first two derivatives continue, so darkness is no gain.
        below = jnp.minimum(v - floor, 0)
        deviance += (1 - z / floor) * below
        deviance += (1 / floor + z / floor**2) / 2 * below**2
        mask = getattr(operator, "mask", None)
        deviance = deviance if mask is None else scale(mask, deviance)
        span = self.limits[1] - self.limits[0]
        return span**2 * deviance

    def variance(self, operator: Any, x: Array, y: Array) -> Float[Array, ""]:
        """Returns the variance of the noise on y, averaged over its measured entries.

        It is estimated from y, because A(x) is not known.

        Args:
            operator: A.
            x: `(height, width, channels)`; only its shape is read.
            y: the measurements, in the shape of A(x).
        """
        light = jnp.maximum(self._light(operator, x, y), 0)
        span = self.limits[1] - self.limits[0]
        return span**2 / self.peak * jnp.sum(light) / operator.num_measurements

    def _light(self, operator: Any, x: Array, y: Array) -> Array:
        """Converts y = A(x) to amounts of light A(u), where a white pixel is 1."""
        black, white = self.limits
        return (y - black * operator(jnp.ones_like(x))) / (white - black)
