"""Measures random lines of the Fourier transform, for sweeps of ratios."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.operators.algebra import Linear
from rtil_jax.operators.interface import Images, ImageShape
from rtil_jax.operators.masks import scale
from rtil_jax.operators.pytrees import operator_class, stored

Lines = Float[Array, "*batch lines width channels 2"]
# As in the fastMRI challenge at the smaller acceleration.
CENTRE = 0.08


@operator_class
class FourierLines(Linear):
    """Measures some lines of the orthonormal 2-D Fourier transform of every channel.

    The spectrum of a real image is symmetric: line -k is the mirror of line k, so lines
    0 to height / 2 are sufficient. y holds their real and imaginary parts. Lines with a
    mirror are multiplied by sqrt(2), as if the mirror were measured too, so all lines
    together keep norms: A^T A x = x. Line 0 is at index 0, not in the middle. Lines 0
    and height / 2 are their own mirrors, so half of their numbers repeat the other
    half; `num_measurements` counts them twice. For complex k-space under your own mask
    use `Fourier(mask)`.

    The standard deviation of noise on y is in the units of these coefficients. If all
    lines are measured, A^T y has the same noise on every pixel.

    Attributes:
        mask: `(height // 2 + 1, 1, 1, 1)`, 1 for measured lines. `sample` takes the
            lowest 8 % first, from line 0 upwards, then the others in random order.
        image_shape: `(height, width, channels)`.
    """

    noise_unit: ClassVar[str] = "y, coefficients of the orthonormal transform"
    array_rank: ClassVar[int] = 4  # without a batch axis
    mask: Any = struct.field()
    image_shape: ImageShape = struct.field(pytree_node=False)

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "FourierLines":
        """Draws the measured lines.

        Args:
            key: the PRNG key of the lines.
            image_shape: `(height, width, channels)`.
            ratio: the fraction of lines that are measured, in (0, 1]; at least one.
        """
        lines = image_shape[0] // 2 + 1
        centre = max(1, round(CENTRE * lines))
        others = centre + jax.random.permutation(key, lines - centre)
        ranks = jnp.concatenate([jnp.arange(centre), others])
        mask = (ranks < max(1, round(ratio * lines))).astype(jnp.float32)
        return stored(cls, mask=mask[:, None, None, None], image_shape=image_shape)

    @property
    def output_shape(self) -> tuple[int, ...]:
        height, width, channels = self.image_shape
        return height // 2 + 1, width, channels, 2

    @property
    def num_measurements(self) -> Float[Array, "*batch"]:
        _, width, channels = self.image_shape
        return 2 * width * channels * jnp.sum(self.mask, axis=(-4, -3, -2, -1))

    def _forward(self, x: Images) -> Lines:
        spectrum = jnp.fft.rfft2(x, axes=(-2, -3), norm="ortho")
        parts = jnp.stack([spectrum.real, spectrum.imag], axis=-1)
        return scale(self.mask * self._weights(), parts)

    def _adjoint(self, y: Lines) -> Images:
        # The inverse of a real transform takes every line with its mirror.
        parts = scale(self.mask / self._weights(), y)
        spectrum = jax.lax.complex(parts[..., 0], parts[..., 1])
        size = self.image_shape[1::-1]
        return jnp.fft.irfft2(spectrum, s=size, axes=(-2, -3), norm="ortho")

    def _pinv(self, y: Lines) -> Images:
        return self._adjoint(y)

    def _weights(self) -> Float[np.ndarray, "lines 1 1 1"]:
        """sqrt(2) for lines with a mirror; line 0 and the highest may be their own."""
        height = self.image_shape[0]
        lines = np.arange(height // 2 + 1)
        mirrored = (lines > 0) & (2 * lines < height)
        weights = np.where(mirrored, np.sqrt(2), 1).astype(np.float32)
        return weights[:, None, None, None]

    def preview(self, y: Lines) -> Images:
        """Returns the back-projection A^T y, the image whose other lines are 0."""
        return jnp.clip(self.adjoint(y), -1, 1)
