"""Phase retrieval: magnitudes of a coded Fourier transform. Not linear."""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.operators.interface import Images, ImageShape
from rtil_jax.operators.masks import random_mask, scale


@struct.dataclass
class PhaseRetrieval:
    """y = mask * |F(codes * x)|, F the orthonormal 2-D transform of every channel.

    One coded diffraction pattern (Candes, Li and Soltanolkotabi 2015) with random
    phases, for which nothing in the pattern is symmetric. x and -x measure the same,
    and so they do channel by channel: only a prior can tell which it is. With all
    magnitudes ||y|| = ||x||.

    The standard deviation of noise on y is in the units of magnitudes, whose rms is
    that of the image's numbers.

    Attributes:
        codes: of absolute value 1, `(height, width, channels)` complex64.
        mask: `(height, width, channels)`, with int(ratio n) ones, at least one.
    """

    noise_unit: ClassVar[str] = "y, magnitudes of the orthonormal transform"
    array_rank: ClassVar[int] = 3  # without a batch axis
    codes: Any
    mask: Any

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "PhaseRetrieval":
        size = math.prod(image_shape)
        code_key, mask_key = jax.random.split(key)
        turns = 2 * math.pi
        phases = jax.random.uniform(code_key, image_shape, jnp.float32, maxval=turns)
        mask = random_mask(mask_key, size, max(1, int(ratio * size)))
        codes = jax.lax.complex(jnp.cos(phases), jnp.sin(phases))
        return cls(codes=codes, mask=mask.reshape(image_shape))

    @property
    def num_measurements(self) -> Float[Array, "*batch"]:
        return jnp.sum(self.mask, axis=(-3, -2, -1))

    def __call__(self, x: Images) -> Images:
        coded = scale(self.codes, x)
        return scale(self.mask, abs(jnp.fft.fft2(coded, axes=(-3, -2), norm="ortho")))

    def preview(self, y: Images) -> Images:
        """The magnitudes: black where 0 or not measured, white from twice their rms.

        They look like noise: without the phases there is no picture to see.
        """
        squares = jnp.sum(y**2, axis=(-3, -2, -1), keepdims=True)
        count = self.num_measurements[..., None, None, None]
        rms = jnp.sqrt(squares / jnp.broadcast_to(count, squares.shape))
        # Nothing but zeros is black too.
        y = y / jnp.broadcast_to(jnp.maximum(rms, 1e-30), y.shape)
        return jnp.clip(y - 1, -1, 1)
