"""Compressed sensing with a dense Gaussian matrix."""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, Int

from rtil_jax.arrays import is_traced
from rtil_jax.errors import UserError
from rtil_jax.operators.algebra import Linear
from rtil_jax.operators.checks import as_real_values, shape_of_numbers
from rtil_jax.operators.interface import Images, ImageShape, Unmasked
from rtil_jax.operators.pytrees import operator_class, stored

Vectors = Float[Array, "*batch m"]
MAX_BYTES = 2**29


@operator_class
class Gaussian(Unmasked, Linear):
    """Measures y = A x with a dense matrix A, your own or a random Gaussian one.

    The columns of A are ordered as (height, width, channel), like x.ravel(). Those of
    `PartialCirculant`, and of PyTorch libraries, are ordered as (channel, height,
    width); convert such a matrix by
    `A.reshape(m, channels, height, width).transpose(0, 2, 3, 1).reshape(m, -1)`.

    `sample` draws independent entries A_ij ~ N(0, 1 / m), as in Bora et al. (2017). So
    E ||y||^2 = ||x||^2, unlike for `PartialCirculant`, which is not normalised. Up to
    that scale, the rows for a smaller ratio are the first rows for a larger one. To
    save memory, the matrix has m rows instead of n rows and a mask, so a sweep compiles
    once for each ratio.

    The standard deviation of noise on y is in the units of y. For a matrix from
    `sample`, the entries of y are as large as ||x|| / sqrt(m).

    >>> import numpy as np
    >>> A = Gaussian(np.eye(5, 192))  # for 8 x 8 RGB pixels
    >>> A.input_shape, A.output_shape
    ((8, 8, 3), (5,))

    Attributes:
        matrix: A, `(m, n)`; `sample` draws m = int(ratio n) rows, at least one.
        image_shape: `(height, width, channels)`, n numbers.
    """

    noise_unit: ClassVar[str] = "y, whose entries have the rms ||x|| / sqrt(m)"
    array_rank: ClassVar[int] = 2  # without a batch axis
    matrix: Any
    image_shape: ImageShape = struct.field(pytree_node=False)

    def __init__(self, matrix: Any, image_shape: Any = None) -> None:
        """Makes the operator from a matrix.

        Args:
            matrix: A, `(m, n)`; or one for each image, `(batch, m, n)`.
            image_shape: `(height, width, channels)`, n numbers; None for a square, RGB
                or grey.

        Raises:
            UserError: if the shape is wrong, or all entries are 0.
        """
        array = as_real_values("Gaussian: matrix", matrix)
        if array.ndim not in (2, 3):
            raise UserError(
                f"Gaussian: matrix: found shape {array.shape}, expected (m, n): a row "
                "for each measurement, a column for each number of an image"
            )
        if not is_traced(array) and not np.asarray(array).any():
            raise UserError("Gaussian: matrix: found only zeros, expected other values")
        what = f"a matrix of shape {array.shape}"
        shape = shape_of_numbers("Gaussian", array.shape[-1], image_shape, what)
        object.__setattr__(self, "matrix", jnp.asarray(array))
        object.__setattr__(self, "image_shape", shape)

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "Gaussian":
        """Draws a random matrix.

        Args:
            key: the PRNG key of the entries.
            image_shape: `(height, width, channels)`.
            ratio: number of measurements over numbers of an image, in (0, 1].

        Raises:
            UserError: if the matrix needs more than half a GiB. Every image has its own
                matrix, so a batch needs a multiple of that.
        """
        size = math.prod(image_shape)
        rows = max(1, int(ratio * size))
        if 4 * rows * size > MAX_BYTES:
            shape, most = "x".join(map(str, image_shape)), MAX_BYTES / (4 * size**2)
            raise UserError(
                f"ratios: found {ratio:g} with problem=gaussian, a matrix of "
                f"{4 * rows * size / 2**30:.2g} GiB for each image of {shape}, "
                f"expected at most {MAX_BYTES / 2**30:g} GiB (a ratio of {most:.2g}); "
                "problem=compressed_sensing needs no matrix"
            )

        # A key per row, so that a row does not depend on the number of rows.
        def row(index: Int[Array, ""]) -> Float[Array, " pixels"]:
            return jax.random.normal(
                jax.random.fold_in(key, index), (size,), jnp.float32
            )

        matrix = jax.vmap(row)(jnp.arange(rows)) / math.sqrt(rows)
        return stored(cls, matrix=matrix, image_shape=image_shape)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (self.matrix.shape[-2],)

    @property
    def num_measurements(self) -> int:
        return self.matrix.shape[-2]

    def _forward(self, x: Images) -> Vectors:
        flat = x.reshape(*x.shape[:-3], math.prod(self.image_shape))
        # By default, accelerators round the factors of a product to 10 bits or fewer.
        return jnp.einsum("mn,...n->...m", self.matrix, flat, precision="highest")

    def _adjoint(self, y: Vectors) -> Images:
        flat = jnp.einsum("mn,...m->...n", self.matrix, y, precision="highest")
        return flat.reshape(*y.shape[:-1], *self.image_shape)

    def _pinv(self, y: Vectors) -> Images:
        # Singular values below LAPACK's rounding error; JAX's default is ten times it.
        rounding = max(self.matrix.shape[-2:]) * jnp.finfo(self.matrix.dtype).eps
        inverse = jnp.linalg.pinv(self.matrix, rtol=rounding)
        flat = jnp.einsum("nm,...m->...n", inverse, y, precision="highest")
        return flat.reshape(*y.shape[:-1], *self.image_shape)

    def preview(self, y: Vectors) -> Images:
        """Returns the back-projection A^T y m / (m + n).

        This scale minimises the mean squared error for a white x: few measurements give
        a faint picture, not a noisy one.
        """
        count, size = self.matrix.shape[-2:]
        return jnp.clip(self.adjoint(y) * count / (count + size), -1, 1)
