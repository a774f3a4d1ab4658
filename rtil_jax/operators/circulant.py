"""Compressed sensing with a random partial circulant matrix."""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.arrays import is_traced
from rtil_jax.errors import UserError
from rtil_jax.operators.algebra import Linear
from rtil_jax.operators.blur import inverse_of
from rtil_jax.operators.checks import as_mask, as_real_values, shape_of_numbers
from rtil_jax.operators.interface import Images, ImageShape
from rtil_jax.operators.masks import random_mask, scale
from rtil_jax.operators.pytrees import operator_class, stored

Vectors = Float[Array, "*batch n"]


@operator_class
class PartialCirculant(Linear):
    """Compressed sensing with a partial circulant matrix and random signs.

    x is flattened in (channels, height, width) order to n numbers. With u = signs * x,
    y_j = mask_j sum_k filter_{(j - k) mod n} u_k. As in the public code of Daras et al.
    (2021) nothing is normalised: E y_j^2 = ||x||^2 for measured entries, and learning
    rates are tuned to that scale.

    The standard deviation of noise on y is in the units of y, whose entries are as
    large as ||x||, not as pixels. 1 % of noise is 0.01 ||x||, about 0.55 for 64 x 64
    RGB pixels of +-0.5.

    >>> import numpy as np
    >>> A = PartialCirculant(np.ones(12), np.ones(12), np.arange(12) < 5, (2, 2, 3))
    >>> A.output_shape, int(A.num_measurements)
    ((12,), 5)

    Attributes:
        spectrum: rfft of the filter, `(n // 2 + 1,)` complex64. `sample` draws the
            filter from N(0, I).
        signs: +1 or -1, `(n,)`.
        mask: `(n,)`, 1 where y is measured; `sample` draws int(ratio n) ones.
        image_shape: `(height, width, channels)`.
    """

    noise_unit: ClassVar[str] = "y, whose entries have the rms ||x||"
    array_rank: ClassVar[int] = 1  # without a batch axis
    spectrum: Any
    signs: Any
    mask: Any = struct.field()
    image_shape: ImageShape = struct.field(pytree_node=False)

    def __init__(
        self, filter: Any, signs: Any, mask: Any, image_shape: Any = None
    ) -> None:
        """Makes a partial circulant matrix from its arrays.

        Args:
            filter: the first column of the circulant matrix, `(n,)`.
            signs: +1 or -1 for each number of x, `(n,)`.
            mask: 1 or True where y is measured, `(n,)`.
            image_shape: `(height, width, channels)`; None for a square, RGB or grey.

        Raises:
            UserError: if shapes or values are wrong, or nothing is measured.
        """
        name = "PartialCirculant"
        taps = as_real_values(f"{name}: filter", filter)
        signs = as_real_values(f"{name}: signs", signs)
        mask = as_mask(f"{name}: mask", mask)
        for what, array in (("filter", taps), ("signs", signs), ("mask", mask)):
            if array.ndim != 1 or len(array) != len(taps):
                raise UserError(
                    f"{name}: {what}: found shape {array.shape}, expected "
                    + (
                        "(n,)"
                        if what == "filter"
                        else f"{taps.shape}, the shape of the filter"
                    )
                )
        if not is_traced(signs) and not np.all(np.abs(np.asarray(signs)) == 1):
            raise UserError(f"{name}: signs: found other values, expected +1 and -1")
        shape = shape_of_numbers(name, len(taps), image_shape, "a filter")
        object.__setattr__(self, "spectrum", jnp.fft.rfft(jnp.asarray(taps)))
        object.__setattr__(self, "signs", jnp.asarray(signs))
        object.__setattr__(self, "mask", jnp.asarray(mask))
        object.__setattr__(self, "image_shape", shape)

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "PartialCirculant":
        """Draws a random operator.

        Args:
            key: the PRNG key of the filter, the signs and the rows.
            image_shape: `(height, width, channels)`.
            ratio: number of measurements over numbers of an image, in (0, 1].
        """
        size = math.prod(image_shape)
        filter_key, sign_key, mask_key = jax.random.split(key, 3)
        # As `jax.random.rademacher` draws, which in 64-bit mode draws other signs.
        positive = jax.random.bernoulli(sign_key, np.float32(0.5), (size,))
        return stored(
            cls,
            spectrum=jnp.fft.rfft(jax.random.normal(filter_key, (size,), jnp.float32)),
            signs=2 * positive.astype(jnp.float32) - 1,
            mask=random_mask(mask_key, size, max(1, int(ratio * size))),
            image_shape=image_shape,
        )

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (math.prod(self.image_shape),)

    @property
    def num_measurements(self) -> Float[Array, "*batch"]:
        return jnp.sum(self.mask, axis=-1)

    def _forward(self, x: Images) -> Vectors:
        flat = jnp.moveaxis(x, -1, -3).reshape(*x.shape[:-3], self.mask.shape[-1])
        return scale(self.mask, self._convolve(scale(self.signs, flat)))

    def _adjoint(self, y: Vectors) -> Images:
        return self._unflatten(self._convolve(scale(self.mask, y), transpose=True))

    def _pinv(self, y: Vectors) -> Images:
        if is_traced(self.mask) or not np.all(np.asarray(self.mask)):
            return super()._pinv(y)
        spectrum = scale(inverse_of(self.spectrum), jnp.fft.rfft(y))
        return self._unflatten(jnp.fft.irfft(spectrum, n=y.shape[-1]))

    def _unflatten(self, u: Vectors) -> Images:
        """Returns the image x of u = signs * x."""
        height, width, channels = self.image_shape
        planes = scale(self.signs, u).reshape(*u.shape[:-1], channels, height, width)
        return jnp.moveaxis(planes, -3, -1)

    def _convolve(self, u: Array, transpose: bool = False) -> Array:
        """Convolves circularly with the filter, or correlates with it."""
        spectrum = jnp.conj(self.spectrum) if transpose else self.spectrum
        return jnp.fft.irfft(scale(spectrum, jnp.fft.rfft(u)), n=u.shape[-1])

    def preview(self, y: Vectors) -> Images:
        """Returns the back-projection A^T y / (m + n).

        This scale minimises the mean squared error for a dense Gaussian A and a white
        x: few measurements give a faint picture, not a noisy one.
        """
        total = self.num_measurements + self.mask.shape[-1]
        return jnp.clip(self.adjoint(y) / total, -1, 1)
