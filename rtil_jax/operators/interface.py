"""What every operator can do, the shapes of images, and measurements with noise."""

import dataclasses
import math
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rtil_jax.arrays import as_array
from rtil_jax.errors import UserError
from rtil_jax.operators.masks import scale
from rtil_jax.operators.poisson import Poisson
from rtil_jax.operators.pytrees import stored

ImageShape = tuple[int, int, int]
Images = Float[Array, "*batch height width channels"]
Self = TypeVar("Self", bound="ForwardOperator")
# Of an axis that an operator leaves open.
ANY = None


@runtime_checkable
class Operator(Protocol):
    """What `invert` needs of an operator: to call it on an image, and a count."""

    @property
    def num_measurements(self) -> Array | float | int:
        """How many real numbers are measured; ||A(x) - y||^2 is divided by it.

        One number for each image. A complex measurement counts as two.
        """

    def __call__(self, x: Images) -> Array:
        """y = A(x) of one image, noiseless; real or complex."""


@runtime_checkable
class ImagingOperator(Operator, Protocol):
    """What the operators of this library can do besides, for sweeps and pictures."""

    @property
    def mask(self) -> Array:
        """1 where something is measured, 0 elsewhere; broadcasts to y."""

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "ImagingOperator":
        """A random operator for images of `(height, width, channels)`.

        `ratio` is the fraction of measurements, of observed pixels, or 1 / factor
        (see `ratios.RATIO_LABELS`).

        Args:
            key: of the draw.
            image_shape: `(height, width, channels)`.
            ratio: of measurements, in (0, 1]; see `RATIO_LABELS` of `operators.ratios`.
        """

    def preview(self, y: Array) -> Images:
        """A picture of y in [-1, 1], for people only."""


@runtime_checkable
class LinearOperator(Operator, Protocol):
    """An operator y = A x; all but `PhaseRetrieval` are."""

    def adjoint(self, y: Array) -> Images:
        """A^T y."""


class ForwardOperator:
    """What the operators of this library share: shapes, and calls that check them.

    A subclass under `operator_class` has the field `image_shape` (or `input_shape` of
    its own) and the method `_forward`, which takes leading batch axes as well.
    """

    noise_unit: ClassVar[str] = "y"
    # Of its arrays without a batch axis; None if they have several, or are none.
    array_rank: ClassVar[int | None] = None
    image_shape: Any

    @property
    def input_shape(self) -> ImageShape:
        """`(height, width, channels)` of the images that A takes."""
        return self.image_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of y = A(x) of one image."""
        return self._output().shape

    @property
    def num_measurements(self) -> Any:
        """How many real numbers are measured; a complex one counts as two."""
        y = self._output()
        return math.prod(y.shape) * (2 if jnp.issubdtype(y.dtype, complex) else 1)

    def __call__(self, x: Any) -> Any:
        """y = A(x), of one image or with any batch axes before.

        Raises:
            UserError: for images of another shape.
        """
        return self._forward(self._checked("images", x, self._input_pattern()))

    def __repr__(self) -> str:
        """The class and the shape of the images; no arrays."""
        try:
            return f"{type(self).__name__}(images {shape_text(self._input_pattern())})"
        except (AttributeError, TypeError):  # where JAX holds no arrays in it
            return type(self).__name__

    def replace(self: Self, **changes: Any) -> Self:
        """A copy with other fields, which nothing checks."""
        names = [field.name for field in dataclasses.fields(self)]  # type: ignore
        fields = {name: getattr(self, name) for name in names}
        return stored(type(self), **fields | changes)

    def fitted(self: Self, image_shape: ImageShape) -> Self:
        """The operator for such images, where it leaves open what images it takes."""
        return self

    def _forward(self, x: Array) -> Array:
        raise NotImplementedError

    def _output(self) -> jax.ShapeDtypeStruct:
        x = jax.ShapeDtypeStruct(self.input_shape, jnp.float32)
        return jax.eval_shape(self._forward, x)

    def _input_pattern(self) -> tuple[int | None, ...]:
        """`input_shape`, with ANY for what is left open."""
        return self.input_shape

    def _checked(self, what: str, found: Any, pattern: tuple[int | None, ...]) -> Array:
        array = as_array(f"{type(self).__name__}: {what}", found)
        last = array.shape[max(0, array.ndim - len(pattern)) :]
        fits = len(last) == len(pattern) and all(
            wanted in (ANY, size) for size, wanted in zip(last, pattern, strict=True)
        )
        if not fits:
            raise UserError(
                f"{type(self).__name__}: found {what} of shape {array.shape}, expected "
                f"{shape_text(pattern)}, or batch axes before these"
            )
        if not jnp.issubdtype(array.dtype, jnp.inexact):
            array = array.astype(np.float32)
        return jnp.asarray(array)


class Unmasked:
    """The mask of operators that measure all of y."""

    @property
    def mask(self) -> Float[Array, ""]:
        return jnp.ones((), jnp.float32)


def shape_text(pattern: tuple[int | None, ...]) -> str:
    """A shape in words: `(8, 8, any)`."""
    return f"({', '.join('any' if x is ANY else str(x) for x in pattern)})"


def measure(
    operator: Any,
    x: Any,
    key: jax.Array,
    noise_std: Any = 0.0,
    *,
    noise: Any = None,
) -> Array:
    """y = A(x) + noise, Gaussian of standard deviation `noise_std` where A measures.

    The noise is in the units of y. Those of operators whose y is a picture are pixels;
    for the others see their classes, and `operators.noise.signal_to_noise` in dB. Of a
    complex y the real and the imaginary part get noise of `noise_std` each. An operator
    without a `mask` measures everywhere.

    `noise_std` is beside pixels in [-1, 1]. Libraries whose images are in [0, 1], as
    deepinv's, have half of it for the same noise: their 0.05 is 0.1 here.

    With `noise=Poisson(peak)` photons are counted instead, of one image.

    Args:
        operator: A, callable.
        x: images, `(height, width, channels)`, or a batch for an operator that is not
            itself batched.
        key: of the noise.
        noise_std: of Gaussian noise, at least 0.
        noise: `Poisson(peak)`, in place of `noise_std`.

    Raises:
        UserError: if the pixels or y are not floating-point numbers.
    """
    x = as_array("measure: images", x)
    _require_floating(x, "images", jnp.floating)
    if noise is not None:
        if not isinstance(noise, Poisson) or noise_std:
            raise UserError(
                f"measure: found noise={noise!r} and noise_std={noise_std!r}, expected "
                "Poisson(peak), or noise_std alone"
            )
        return noise.measure(operator, jnp.asarray(x), key)
    y = operator(jnp.asarray(x))
    _require_floating(y, f"measurements by {type(operator).__name__}", jnp.inexact)
    noise = noise_std * jax.random.normal(key, y.shape, y.dtype)
    if jnp.iscomplexobj(y):  # JAX's complex normal numbers have variance 1 in all
        noise = math.sqrt(2) * noise
    mask = getattr(operator, "mask", None)
    return y + (noise if mask is None else scale(mask, noise))


def _require_floating(x: Array | np.ndarray, name: str, kind: type) -> None:
    dtype = jnp.result_type(x)
    if not jnp.issubdtype(dtype, kind):
        raise UserError(
            f"measure: found {name} of {dtype}, expected floating-point numbers "
            "(rtil_jax.data.to_float makes images in [-1, 1] of uint8 pixels)"
        )
