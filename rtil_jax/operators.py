"""Forward operators A of the inverse problems y = A(x) (Section 2.1 of the paper).

An operator is a pytree: `jax.vmap` over keys draws one per image, and
`jax.vmap(lambda a, x: a(x))(operators, images)` applies them. Measurements keep one
shape whatever the ratio; a mask says which entries were measured and the others are 0.
A function that is jitted over a masked operator therefore compiles once for a sweep of
ratios, and masks drawn from one key are nested: more measurements include the fewer.

Images are float32 `(height, width, channels)` in [-1, 1]. An operator that is not
itself batched also takes images and measurements with leading batch axes. The arrays
of an operator are typed `Any` because JAX also rebuilds pytrees of shapes and specs.
"""

import functools
import math
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.errors import UserError

ImageShape = tuple[int, int, int]
Images = Float[Array, "*batch height width channels"]
SmallImages = Float[Array, "*batch rows columns channels"]
Vectors = Float[Array, "*batch n"]


@runtime_checkable
class Operator(Protocol):
    """The interface; `invert` itself calls it and reads `num_measurements`.

    Attributes:
        mask: 1 where something is measured, 0 elsewhere; broadcasts to y.
        num_measurements: how many real numbers are measured, for averaging a loss.
    """

    mask: Array
    num_measurements: Array | int

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "Operator":
        """A random operator for images of `(height, width, channels)`.

        `ratio` is the fraction of measurements, of observed pixels, or 1 / factor.
        """

    def __call__(self, x: Images) -> Array:
        """y = A x, noiseless; 0 where nothing is measured."""

    def adjoint(self, y: Array) -> Images:
        """A^T y."""

    def preview(self, y: Array) -> Images:
        """A picture of y in [-1, 1], for people only."""


def measure(operator: Operator, x: Array, key: jax.Array, noise_std: float) -> Array:
    """y = A x + noise, Gaussian of standard deviation `noise_std` where A measures.

    The noise is in the units of y, which for `PartialCirculant` are ||x|| per entry.
    """
    y = operator(x)
    noise = noise_std * jax.random.normal(key, y.shape)
    return y + _scale(operator.mask, noise)


def _scale(weights: Array, x: Array) -> Array:
    """weights * x; the weights are shared by the leading axes that only x has."""
    return jnp.broadcast_to(weights, x.shape) * x


def _random_mask(key: jax.Array, size: int, count: int) -> Float[Array, " size"]:
    """`count` ones in random places: the entries whose random rank is below it.

    The ranks do not depend on `count`, hence the nested masks.
    """
    ranks = jax.random.permutation(key, size)
    return (ranks < count).astype(jnp.float32)


@struct.dataclass
class PartialCirculant:
    """Compressed sensing by a partial circulant matrix with random signs.

    With u = signs * x, x flattened in (channels, height, width) order to n numbers,
    y_j = mask_j sum_k filter_{(j - k) mod n} u_k. As in the public code of Daras et
    al. (2021) nothing is normalised: E y_j^2 = ||x||^2 where measured, and the
    learning rates of gradient descent are tuned to that.

    Attributes:
        spectrum: rfft of the filter, `(n // 2 + 1,)` complex64. The filter is N(0, I).
        signs: +1 or -1, `(n,)`.
        mask: `(n,)`, with int(ratio n) ones, at least one.
        image_shape: `(height, width, channels)`.
    """

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
        return cls(
            spectrum=jnp.fft.rfft(jax.random.normal(filter_key, (size,))),
            signs=jax.random.rademacher(sign_key, (size,), jnp.float32),
            mask=_random_mask(mask_key, size, max(1, int(ratio * size))),
            image_shape=image_shape,
        )

    @property
    def num_measurements(self) -> Float[Array, "*batch"]:
        return jnp.sum(self.mask, axis=-1)

    def __call__(self, x: Images) -> Vectors:
        flat = jnp.moveaxis(x, -1, -3).reshape(*x.shape[:-3], self.mask.shape[-1])
        return _scale(self.mask, self._convolve(_scale(self.signs, flat)))

    def adjoint(self, y: Vectors) -> Images:
        height, width, channels = self.image_shape
        correlated = self._convolve(_scale(self.mask, y), transpose=True)
        flat = _scale(self.signs, correlated)
        planes = flat.reshape(*y.shape[:-1], channels, height, width)
        return jnp.moveaxis(planes, -3, -1)

    def _convolve(self, u: Array, transpose: bool = False) -> Array:
        """Circular convolution with the filter, or correlation with it."""
        spectrum = jnp.conj(self.spectrum) if transpose else self.spectrum
        return jnp.fft.irfft(_scale(spectrum, jnp.fft.rfft(u)), n=u.shape[-1])

    def preview(self, y: Vectors) -> Images:
        """The back-projection A^T y / (m + n).

        That scale is the best linear one in mean square if A were a dense Gaussian
        matrix and x white: few measurements give a faint picture, not a loud one.
        """
        scale = self.num_measurements + self.mask.shape[-1]
        return jnp.clip(self.adjoint(y) / scale, -1, 1)


@struct.dataclass
class Inpainting:
    """Inpainting of pixels missing at random: y = mask * x.

    Attributes:
        mask: `(height, width, 1)`, shared by the channels.
        channels: of the images.
    """

    mask: Any
    channels: int = struct.field(pytree_node=False)

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "Inpainting":
        height, width, channels = image_shape
        # The public code keeps each pixel with probability `ratio`; we keep that
        # fraction exactly, so that `ratio` means what it says for every image.
        count = max(1, round(ratio * height * width))
        mask = _random_mask(key, height * width, count)
        return cls(mask=mask.reshape(height, width, 1), channels=channels)

    @property
    def num_measurements(self) -> Float[Array, "*batch"]:
        return self.channels * jnp.sum(self.mask, axis=(-3, -2, -1))

    def __call__(self, x: Images) -> Images:
        return _scale(self.mask, x)

    def adjoint(self, y: Images) -> Images:
        return _scale(self.mask, y)

    def preview(self, y: Images) -> Images:
        """The observed pixels on grey."""
        return jnp.clip(y, -1, 1)


@struct.dataclass
class SuperResolution:
    """Super-resolution: bicubic downsampling by 2, 4, 8 or 16.

    The kernel of the public code (PULSE's, and ILO's): antialiased Keys cubic with
    a = -0.5 and reflected borders. Nothing in it is random.

    Attributes:
        image_shape: `(height, width, channels)`.
        factor: of the downsampling.
    """

    image_shape: ImageShape = struct.field(pytree_node=False)
    factor: int = struct.field(pytree_node=False)

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "SuperResolution":
        """The operator; `key` is unused.

        Raises:
            UserError: if 1 / ratio is not 2, 4, 8 or 16, or does not divide the size.
        """
        factor, (height, width, _) = round(1 / ratio), image_shape
        if factor not in (2, 4, 8, 16) or not math.isclose(factor * ratio, 1):
            raise UserError(
                f"ratios: found {ratio:g} with problem=super_resolution, expected "
                "1 / factor for a factor of 2, 4, 8 or 16 (0.5, 0.25, 0.125, 0.0625)"
            )
        if height % factor or width % factor:
            raise UserError(
                f"ratios: found {ratio:g} with problem=super_resolution, expected a "
                f"factor that divides the image size of {height}x{width} pixels"
            )
        return cls(image_shape=image_shape, factor=factor)

    @property
    def mask(self) -> Float[Array, ""]:
        return jnp.ones(())

    @property
    def num_measurements(self) -> int:
        return math.prod(self.image_shape) // self.factor**2

    def __call__(self, x: Images) -> SmallImages:
        return self._resample("ih,jw,...hwc->...ijc", x)

    def adjoint(self, y: SmallImages) -> Images:
        return self._resample("ih,jw,...ijc->...hwc", y)

    def _resample(self, subscripts: str, x: Array) -> Array:
        height, width, _ = self.image_shape
        rows = _bicubic_matrix(height, self.factor)
        columns = _bicubic_matrix(width, self.factor)
        # By default, accelerators round the factors of a product to 10 bits or fewer.
        return jnp.einsum(subscripts, rows, columns, x, precision="highest")

    def preview(self, y: SmallImages) -> Images:
        """The small image, its pixels enlarged to squares."""
        tall = jnp.repeat(y, self.factor, axis=-3)
        return jnp.clip(jnp.repeat(tall, self.factor, axis=-2), -1, 1)


def _keys_cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution kernel with a = -0.5."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


@functools.cache
def _bicubic_matrix(size: int, factor: int) -> np.ndarray:
    """Downsampling of one axis as a `(size // factor, size)` matrix.

    4 * factor taps at stride `factor` over the axis reflected by 3 * factor in total.
    """
    taps = _keys_cubic((np.arange(4 * factor) - 2 * factor + 0.5) / factor)
    before = 3 * factor // 2
    # Which pixel each position of the padded axis reads; `reflect` goes to and fro as
    # often as an image smaller than its padding needs.
    source = np.pad(np.arange(size), (before, 3 * factor - before), mode="reflect")
    rows = np.arange(size // factor)[:, None]
    reads = source[factor * rows + np.arange(4 * factor)]
    matrix = np.zeros((size // factor, size))
    np.add.at(matrix, (rows, reads), taps / taps.sum())
    return matrix.astype(np.float32)


OPERATORS = {
    "compressed_sensing": PartialCirculant,
    "inpainting": Inpainting,
    "super_resolution": SuperResolution,
}


def sample_operator(
    problem: str, key: jax.Array, image_shape: ImageShape, ratio: float | int
) -> Operator:
    """The operator of `problem` for images of `(height, width, channels)`.

    Raises:
        UserError: for an unknown problem, or a ratio that the problem does not have.
    """
    if problem not in OPERATORS:
        known = ", ".join(sorted(OPERATORS))
        raise UserError(f"problem: found {problem!r}, expected one of {known}")
    if not 0 < ratio <= 1:
        raise UserError(f"ratios: found {ratio:g}, expected numbers in (0, 1]")
    return OPERATORS[problem].sample(key, image_shape, ratio)


def sample_operators(
    problem: str, keys: jax.Array, image_shape: ImageShape, ratio: float | int
) -> Operator:
    """One operator per key, `(batch,)`: the arrays have a leading batch axis.

    Raises:
        UserError: as `sample_operator`.
    """
    return jax.vmap(lambda key: sample_operator(problem, key, image_shape, ratio))(keys)
