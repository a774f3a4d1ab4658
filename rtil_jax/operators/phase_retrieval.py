"""Phase retrieval: measures magnitudes of a coded Fourier transform; not linear."""

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
    """Measures magnitudes of a coded Fourier transform: y = mask * |F(codes * x)|.

    F is the orthonormal 2-D transform of every channel. y is one coded diffraction
    pattern (Candes, Li and Soltanolkotabi 2015) with random phases, which break its
    symmetry. x and -x have the same measurements, also channel by channel: only a prior
    can tell them apart. If all magnitudes are measured, ||y|| = ||x||.

    The standard deviation of noise on y is in the units of magnitudes, which have the
    same rms as the numbers of the image.

    >>> import numpy as np
    >>> turns = np.random.default_rng(0).random((8, 8, 3))
    >>> A = PhaseRetrieval(np.exp(2j * np.pi * turns))
    >>> A.output_shape, int(A.num_measurements)
    ((8, 8, 3), 192)

    Attributes:
        codes: `(height, width, channels)` complex64; `sample` draws numbers with
            absolute value 1.
        mask: `(height, width, channels)`, 1 for measured magnitudes; `sample` draws
            int(ratio n) of them, at least one.
    """

    noise_unit: ClassVar[str] = "y, magnitudes of the orthonormal transform"
    array_rank: ClassVar[int] = 3  # without a batch axis
    codes: Any
    mask: Any = struct.field()

    def __init__(self, codes: Any, mask: Any = None) -> None:
        """Makes the operator from its codes and a mask.

        Args:
            codes: the factors of the image before the transform, complex or real,
                `(height, width, channels)`, or `(height, width)` for grey images.
            mask: 1 or True where a magnitude is measured, in the same shape, with
                frequency 0 first; None measures all.

        Raises:
            UserError: if shapes or values are wrong, or nothing is measured.
        """
        array = as_values("PhaseRetrieval: codes", codes)
        array = array[..., None] if array.ndim == 2 else array
        if array.ndim not in (3, 4):
            raise UserError(
                f"PhaseRetrieval: codes: found shape {array.shape}, expected (height, "
                "width, channels), or (height, width) for grey images"
            )
        if not is_traced(array) and not np.asarray(array).any():
            raise UserError(
                "PhaseRetrieval: codes: found only zeros, expected other numbers"
            )
        seen = np.ones(array.shape, np.float32) if mask is None else mask
        seen = as_mask("PhaseRetrieval: mask", seen)
        seen = seen[..., None] if seen.ndim == 2 else seen
        if seen.shape != array.shape:
            raise UserError(
                f"PhaseRetrieval: mask: found shape {seen.shape}, expected "
                f"{array.shape}, the shape of the codes"
            )
        codes = jnp.asarray(array)
        codes = codes.astype(jnp.promote_types(codes.dtype, jnp.complex64))
        object.__setattr__(self, "codes", codes)
        object.__setattr__(self, "mask", jnp.asarray(seen))

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "PhaseRetrieval":
        """Draws codes, and which magnitudes are measured.

        Args:
            key: the PRNG key of the codes and the mask.
            image_shape: `(height, width, channels)`.
            ratio: number of magnitudes over numbers of an image, in (0, 1].
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
        """Returns the magnitudes: black is 0 or not measured, white twice the rms.

        They look like noise, because a picture needs the phases.
        """
        squares = jnp.sum(y**2, axis=(-3, -2, -1), keepdims=True)
        count = self.num_measurements[..., None, None, None]
        rms = jnp.sqrt(squares / jnp.broadcast_to(count, squares.shape))
        # If all are zero, the picture is black too.
        y = y / jnp.broadcast_to(jnp.maximum(rms, 1e-30), y.shape)
        return jnp.clip(y - 1, -1, 1)
