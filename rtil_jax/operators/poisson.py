"""Poisson noise: photons that are counted, and the likelihood of what was counted."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rtil_jax.arrays import as_limits, as_number, is_traced
from rtil_jax.errors import UserError
from rtil_jax.operators.masks import scale

# Below half a photon, or this part of white, the likelihood is continued by a parabola.
LEAST = 1e-3


@dataclasses.dataclass(frozen=True)
class Poisson:
    """Noise of photons: a white pixel is `peak` of them, on average.

    With u the image in [0, 1], from black to white, counts ~ Poisson(peak * A(u)). They
    come back as y = counts / peak in the units of A(x), so that y is A(x) on average.
    A must not measure negative amounts of light: it is a mask, a blur, downsampling, or
    sums along rays. What a bicubic kernel makes negative is no light.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from rtil_jax.operators import Denoising, measure
    >>> x = jnp.zeros((8, 8, 3))  # mid-grey: 50 photons, with a deviation of sqrt(50)
    >>> y = measure(Denoising(x.shape), x, jax.random.key(0), noise=Poisson(peak=100))
    >>> bool(abs(y.std() - 2 * 50**0.5 / 100) < 0.03)
    True

    Attributes:
        peak: photons of white, above 0.
        limits: what black and white are in the images.
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
        """y of one image, `(height, width, channels)`.

        Args:
            operator: A, which measures amounts of light.
            x: the image.
            key: of the photons.

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
                "amounts, expected amounts of light, as of a mask or a blur"
            )
        counts = jax.random.poisson(key, self.peak * jnp.maximum(light, 0))
        return y + (self.limits[1] - self.limits[0]) * (
            counts.astype(y.dtype) / self.peak - light
        )

    def losses(self, operator: Any, x: Array, y: Array) -> Float[Array, "*entries"]:
        """The negative log-likelihood of each entry of y given an image, scaled.

        It is (white - black)^2 (v - z + z log(z / v)), with v the light of x and z that
        of y, both as parts of white, and 0 for entries that are not seen. That is the
        deviance over 2 * peak, in the units of a squared error of pixels, which it
        nears at mid-grey: learning rates that suit one suit the other. It is 0 where x
        explains y exactly.

        Args:
            operator: A.
            x: an image, `(height, width, channels)`.
            y: what was measured.
        """
        predicted = operator(x)
        v = self._light(operator, x, predicted)
        z = jnp.maximum(self._light(operator, x, y), 0)
        floor = max(0.5 / self.peak, LEAST)
        w = jnp.maximum(v, floor)
        deviance = w - z + jax.scipy.special.xlogy(z, z) - z * jnp.log(w)
        # Below the floor its first two derivatives go on, and darkness is no gain.
        below = jnp.minimum(v - floor, 0)
        deviance += (1 - z / floor) * below
        deviance += (1 / floor + z / floor**2) / 2 * below**2
        mask = getattr(operator, "mask", None)
        deviance = deviance if mask is None else scale(mask, deviance)
        span = self.limits[1] - self.limits[0]
        return span**2 * deviance

    def variance(self, operator: Any, x: Array, y: Array) -> Float[Array, ""]:
        """Of the noise on y of one image, the mean over what is measured.

        As y itself is what is known of A(x), of x the shape alone is read.

        Args:
            operator: A.
            x: `(height, width, channels)`.
            y: of the shape of A(x).
        """
        light = jnp.maximum(self._light(operator, x, y), 0)
        span = self.limits[1] - self.limits[0]
        return span**2 / self.peak * jnp.sum(light) / operator.num_measurements

    def _light(self, operator: Any, x: Array, y: Array) -> Array:
        """y as amounts of light, where a white pixel is 1: A(u) of y = A(x)."""
        black, white = self.limits
        return (y - black * operator(jnp.ones_like(x))) / (white - black)
