"""Phase retrieval: magnitudes of a coded Fourier transform. Not linear."""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.arrays import is_traced
from rtil_jax.errors import UserError
from rtil_jax.operators.checks import as_mask, as_values
from rtil_jax.operators.interface import ForwardOperator, Images, ImageShape
from rtil_jax.operators.masks import random_mask, scale
from rtil_jax.operators.pytrees import operator_class, stored


@operator_class
class PhaseRetrieval(ForwardOperator):
    """y = mask * |F(codes * x)|, F the orthonormal 2-D transform of every channel.

    One coded diffraction pattern (Candes, Li and Soltanolkotabi 2015) with random
    phases, for which nothing in the pattern is symmetric. x and -x measure the same,
    and so they do channel by channel: only a prior can tell which it is. With all
    magnitudes ||y|| = ||x||.

    The standard deviation of noise on y is in the units of magnitudes, whose rms is
    that of the image's numbers.

    >>> import numpy as np
    >>> turns = np.random.default_rng(0).random((8, 8, 3))
    >>> A = PhaseRetrieval(np.exp(2j * np.pi * turns))
    >>> A.output_shape, int(A.num_measurements)
    ((8, 8, 3), 192)

    Attributes:
        codes: `(height, width, channels)` complex64; `sample` draws absolute value 1.
        mask: `(height, width, channels)`: the measured magnitudes; `sample` draws
            int(ratio n), at least one.
    """

    noise_unit: ClassVar[str] = "y, magnitudes of the orthonormal transform"
    array_rank: ClassVar[int] = 3  # without a batch axis
    codes: Any
    mask: Any = struct.field()

    def __init__(self, codes: Any, mask: Any = None) -> None:
        """A coded diffraction pattern of one's own.

        Args:
            codes: what the image is multiplied by before the transform, complex or
                real, `(height, width, channels)`, or `(height, width)` for grey images.
            mask: 1 or True where a magnitude is measured, of the same shape, frequency
                0 first; None for all.

        Raises:
            UserError: for other shapes and values, or if nothing is measured.
        """
        array = as_values("PhaseRetrieval: codes", codes)
        array = array[..., None] if array.ndim == 2 else array
        if array.ndim not in (3, 4):
            raise UserError(
                f"PhaseRetrieval: codes: found shape {array.shape}, expected (height, "
                "width, channels), or (height, width) for grey images"
            )
        if not is_traced(array) and not np.asarray(array).any():
            raise UserError("PhaseRetrieval: codes: found zeros alone")
        seen = np.ones(array.shape, np.float32) if mask is None else mask
        seen = as_mask("PhaseRetrieval: mask", seen)
        seen = seen[..., None] if seen.ndim == 2 else seen
        if seen.shape != array.shape:
            raise UserError(
                f"PhaseRetrieval: mask: found shape {seen.shape}, expected that of the "
                f"codes, {array.shape}"
            )
        codes = jnp.asarray(array)
        codes = codes.astype(jnp.promote_types(codes.dtype, jnp.complex64))
        object.__setattr__(self, "codes", codes)
        object.__setattr__(self, "mask", jnp.asarray(seen))

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "PhaseRetrieval":
        """A random coded pattern, and which magnitudes are measured.

        Args:
            key: of the codes and the mask.
            image_shape: `(height, width, channels)`.
            ratio: magnitudes over the image's numbers, in (0, 1].
        """
        size = math.prod(image_shape)
        code_key, mask_key = jax.random.split(key)
        turns = 2 * math.pi
        phases = jax.random.uniform(code_key, image_shape, jnp.float32, maxval=turns)
        mask = random_mask(mask_key, size, max(1, int(ratio * size)))
        codes = jax.lax.complex(jnp.cos(phases), jnp.sin(phases))
        return stored(cls, codes=codes, mask=mask.reshape(image_shape))

    @property
    def num_measurements(self) -> Float[Array, "*batch"]:
        return jnp.sum(self.mask, axis=(-3, -2, -1))

    @property
    def input_shape(self) -> ImageShape:
        height, width, channels = self.codes.shape[-3:]
        return height, width, channels

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.input_shape

    def _forward(self, x: Images) -> Images:
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
