"""Compressed sensing by a random partial circulant matrix."""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.operators.interface import Images, ImageShape
from rtil_jax.operators.masks import random_mask, scale

Vectors = Float[Array, "*batch n"]


@struct.dataclass
class PartialCirculant:
    """Compressed sensing by a partial circulant matrix with random signs.

    With u = signs * x, x flattened in (channels, height, width) order to n numbers,
    y_j = mask_j sum_k filter_{(j - k) mod n} u_k. As in the public code of Daras et
    al. (2021) nothing is normalised: E y_j^2 = ||x||^2 where measured, and the
    learning rates of gradient descent are tuned to that.

    The standard deviation of noise on y is in the units of y: beside ||x||, not beside
    pixels. 1 % of noise is 0.01 ||x||, about 0.55 for 64 x 64 RGB pixels of +-0.5.

    Attributes:
        spectrum: rfft of the filter, `(n // 2 + 1,)` complex64. The filter is N(0, I).
        signs: +1 or -1, `(n,)`.
        mask: `(n,)`, with int(ratio n) ones, at least one.
        image_shape: `(height, width, channels)`.
    """

    noise_unit: ClassVar[str] = "y, whose entries have the rms ||x||"
    array_rank: ClassVar[int] = 1  # without a batch axis
    spectrum: Any
    signs: Any
    mask: Any
    image_shape: ImageShape = struct.field(pytree_node=False)

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "PartialCirculant":
        size = math.prod(image_shape)
        filter_key, sign_key, mask_key = jax.random.split(key, 3)
        # As `jax.random.rademacher` draws, which in 64-bit mode draws other signs.
        positive = jax.random.bernoulli(sign_key, np.float32(0.5), (size,))
        return cls(
            spectrum=jnp.fft.rfft(jax.random.normal(filter_key, (size,), jnp.float32)),
            signs=2 * positive.astype(jnp.float32) - 1,
            mask=random_mask(mask_key, size, max(1, int(ratio * size))),
            image_shape=image_shape,
        )

    @property
    def num_measurements(self) -> Float[Array, "*batch"]:
        return jnp.sum(self.mask, axis=-1)

    def __call__(self, x: Images) -> Vectors:
        flat = jnp.moveaxis(x, -1, -3).reshape(*x.shape[:-3], self.mask.shape[-1])
        return scale(self.mask, self._convolve(scale(self.signs, flat)))

    def adjoint(self, y: Vectors) -> Images:
        height, width, channels = self.image_shape
        correlated = self._convolve(scale(self.mask, y), transpose=True)
        flat = scale(self.signs, correlated)
        planes = flat.reshape(*y.shape[:-1], channels, height, width)
        return jnp.moveaxis(planes, -3, -1)

    def _convolve(self, u: Array, transpose: bool = False) -> Array:
        """Circular convolution with the filter, or correlation with it."""
        spectrum = jnp.conj(self.spectrum) if transpose else self.spectrum
        return jnp.fft.irfft(scale(spectrum, jnp.fft.rfft(u)), n=u.shape[-1])

    def preview(self, y: Vectors) -> Images:
        """The back-projection A^T y / (m + n).

        That scale is the best linear one in mean square if A were a dense Gaussian
        matrix and x white: few measurements give a faint picture, not a loud one.
        """
        total = self.num_measurements + self.mask.shape[-1]
        return jnp.clip(self.adjoint(y) / total, -1, 1)
