"""The interface of operators, and `measure`, which adds noise to measurements."""

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
# The size of an axis that an operator leaves open.
ANY = None


@runtime_checkable
class Operator(Protocol):
    """The interface that `invert` needs: a callable on images, with a count."""

    @property
    def num_measurements(self) -> Array | float | int:
        """How many real numbers are measured of an image.

        The measurement loss ||A(x) - y||^2 is divided by it. A complex number counts as
        two.
        """

    def __call__(self, x: Images) -> Array:
        """Returns y = A(x) of one image without noise; real or complex."""


@runtime_checkable
class ImagingOperator(Operator, Protocol):
    """What the library's operators can do besides, for sweeps and pictures."""

    @property
    def mask(self) -> Array:
        """1 where something is measured, 0 elsewhere; broadcasts to y."""

    @classmethod
    def sample(
        cls, key: jax.Array, image_shape: ImageShape, ratio: float | int
    ) -> "ImagingOperator":
        """Draws a random operator.

        Args:
            key: the PRNG key of the draw.
            image_shape: `(height, width, channels)` of the images.
            ratio: in (0, 1]: the fraction of measurements or of observed pixels, or
                1 / factor; see `RATIO_LABELS` of `operators.ratios`.
        """

    def preview(self, y: Array) -> Images:
        """Returns a picture of y in [-1, 1], for display only."""


@runtime_checkable
class LinearOperator(Operator, Protocol):
    """The interface of a linear operator; all but `PhaseRetrieval` are linear."""

    def adjoint(self, y: Array) -> Images:
        """Returns A^T y."""


class ForwardOperator:
    """The base class of the library's operators, which checks shapes.

    A subclass under `operator_class` has the field `image_shape` (or its own
    `input_shape`) and the method `_forward`, which also takes leading batch axes.
    """

    noise_unit: ClassVar[str] = "y"
    # Number of axes of its arrays without a batch axis; None if they differ.
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
        """How many real numbers are measured; a complex number counts as two."""
        y = self._output()
        return math.prod(y.shape) * (2 if jnp.issubdtype(y.dtype, complex) else 1)

    def __call__(self, x: Any) -> Any:
        """Returns y = A(x) of one image; x may have leading batch axes.

        Raises:
            UserError: if x has the wrong shape.
        """
        return self._forward(self._checked("images", x, self._input_pattern()))

    def __repr__(self) -> str:
        """Shows the class and the shape of the images, not the arrays."""
        try:
            return f"{type(self).__name__}(images {shape_text(self._input_pattern())})"
        except (AttributeError, TypeError):  # JAX may have replaced its arrays
            return type(self).__name__

    def replace(self: Self, **changes: Any) -> Self:
        """Returns a copy with other fields, which are not checked."""
        names = [field.name for field in dataclasses.fields(self)]  # type: ignore
        fields = {name: getattr(self, name) for name in names}
        return stored(type(self), **fields | changes)

    def fitted(self: Self, image_shape: ImageShape) -> Self:
        """Returns the operator for images of this shape, if it left the shape open."""
        return self

    def _forward(self, x: Array) -> Array:
        raise NotImplementedError

    def _output(self) -> jax.ShapeDtypeStruct:
        x = jax.ShapeDtypeStruct(self.input_shape, jnp.float32)
        return jax.eval_shape(self._forward, x)

    def _input_pattern(self) -> tuple[int | None, ...]:
        """Returns `input_shape`, with ANY for an axis of unknown size."""
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
                f"{shape_text(pattern)}, or batch axes before it"
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
    """Writes a shape in words: `(8, 8, any)`."""
    return f"({', '.join('any' if x is ANY else str(x) for x in pattern)})"


def measure(
    operator: Any,
    x: Any,
    key: jax.Array,
    noise_std: Any = 0.0,
    *,
    noise: Any = None,
) -> Array:
    """Measures images and adds noise: returns y = A(x) + noise.

    Gaussian noise is added to the entries that A measures (all, without a `mask`). It
    is in the units of y. If y is a picture, these are pixels in [-1, 1]. (Libraries
    with images in [0, 1], such as deepinv, need half the value: their 0.05 is 0.1
    here.) Other operators state their units in their classes, and
    `operators.noise.signal_to_noise` gives the noise in dB. If y is complex, its real
    and imaginary part each get noise of `noise_std`.

    Args:
        operator: A, a callable.
        x: an image, `(height, width, channels)`, or a batch of images for an operator
            without a batch axis.
        key: the PRNG key of the noise.
        noise_std: standard deviation of Gaussian noise, at least 0.
        noise: `Poisson(peak)` counts photons of one image instead.

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
    if jnp.iscomplexobj(y):  # JAX's complex normal numbers have total variance 1
        noise = math.sqrt(2) * noise
    mask = getattr(operator, "mask", None)
    return y + (noise if mask is None else scale(mask, noise))


def _require_floating(x: Array | np.ndarray, name: str, kind: type) -> None:
    dtype = jnp.result_type(x)
    if not jnp.issubdtype(dtype, kind):
        raise UserError(
            f"measure: found {name} of {dtype}, expected floating-point numbers "
            "(rtil_jax.data.to_float converts uint8 pixels to [-1, 1])"
        )
