"""The algebra of linear operators: `A.T`, `A @ B`, `A + B`, `c * A`, `A.pinv(y)`.

All spaces are real. A complex number counts as two real numbers, so `A.T` is the
transpose with respect to Re sum(conj(u) v), and A^T y is a real image.
"""

import math
import numbers
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from rtil_jax.errors import UserError
from rtil_jax.operators.conjugate_gradients import least_squares
from rtil_jax.operators.interface import (
    ForwardOperator,
    ImageShape,
    Unmasked,
    shape_text,
)
from rtil_jax.operators.pytrees import operator_class


class Linear(ForwardOperator):
    """A linear operator, which can be transposed, combined and inverted.

    It is also a base class for your own operators. A subclass under `operator_class`
    has the field `image_shape` and the method `_forward(x)`. Without a method
    `_adjoint`, JAX transposes `_forward`; without `_pinv`, conjugate gradients invert
    it.

    >>> import jax.numpy as jnp
    >>> from rtil_jax.operators import Blur, Inpainting
    >>> mask = jnp.ones((8, 8)).at[2:4].set(0)
    >>> A = 0.5 * Inpainting(mask) @ Blur(jnp.ones((3, 3)) / 9, (8, 8, 3))
    >>> A.input_shape, A.output_shape
    ((8, 8, 3), (8, 8, 3))
    >>> y = A(jnp.ones((8, 8, 3)))
    >>> A.T(y).shape, A.gram(A.T(y)).shape, A.pinv(y).shape
    ((8, 8, 3), (8, 8, 3), (8, 8, 3))
    >>> B = A - 0.1 * A.gram
    >>> B(y).shape, B.T(y).shape
    ((8, 8, 3), (8, 8, 3))
    """

    __array_ufunc__ = None  # else np.float32(2) * A would multiply entry by entry

    @property
    def T(self) -> "Adjoint":
        """The adjoint A^T as an operator: <A x, y> = <x, A^T y>."""
        return Adjoint(self)

    @property
    def gram(self) -> "Composed":
        """The operator A^T A."""
        return Composed(self.T, self)

    def adjoint(self, y: Any) -> Any:
        """Returns A^T y; y may have leading batch axes.

        Raises:
            UserError: if y has the wrong shape.
        """
        return self._adjoint(self._checked("measurements", y, self._output_pattern()))

    def pinv(self, y: Any) -> Any:
        """Returns A^+ y, the x of least norm among those that minimise ||A x - y||.

        It is exact for masks, circular blurs, Fourier lines and masks, full circulants,
        matrices, colourisation and super-resolution. Other operators use at most 1000
        steps of conjugate gradients. For ill-conditioned ones, such as wide blurs with
        reflected borders and CT scans, A A^+ A then equals A within about 0.001.

        Raises:
            UserError: if y has the wrong shape.
        """
        return self._pinv(self._checked("measurements", y, self._output_pattern()))

    def preview(self, y: Array) -> Array:
        """Returns the multiple of A^T y that explains y best, clipped to [-1, 1]."""
        back = self.adjoint(y)
        again = self._forward(back)
        own = tuple(range(back.ndim - len(self.input_shape), back.ndim))
        seen = tuple(range(again.ndim - len(self.output_shape), again.ndim))
        size = jnp.sum(back**2, axis=own, keepdims=True)
        square = jnp.sum(jnp.abs(again) ** 2, axis=seen).reshape(size.shape)
        return jnp.clip(back * size / jnp.maximum(square, 1e-30), -1, 1)

    def __matmul__(self, other: Any) -> Any:
        """Returns the operator A(B(x)) for an operator B, and A(x) for an array x."""
        if not isinstance(other, ForwardOperator):
            return NotImplemented if callable(other) else self(other)
        return compose(self, other)

    def __mul__(self, factor: Any) -> "Scaled":
        return Scaled(_as_factor(factor), self)

    __rmul__ = __mul__

    def __truediv__(self, factor: Any) -> "Scaled":
        return Scaled(1 / _as_factor(factor), self)

    def __neg__(self) -> "Scaled":
        return Scaled(_as_factor(-1.0), self)

    def __add__(self, other: Any) -> "Sum":
        return add(self, other)

    def __sub__(self, other: Any) -> "Sum":
        return add(self, -other if isinstance(other, Linear) else other)

    def _adjoint(self, y: Array) -> Array:
        lead = y.shape[: y.ndim - len(self.output_shape)]
        dtype = jnp.finfo(y.dtype).dtype  # of the real part
        x = jax.ShapeDtypeStruct((*lead, *self.input_shape), dtype)
        (found,) = jax.linear_transpose(self._forward, x)(
            jnp.conj(y).astype(jax.eval_shape(self._forward, x).dtype)
        )
        return found

    def _pinv(self, y: Array) -> Array:
        rank = len(self.output_shape)
        lead = y.shape[: y.ndim - rank]
        flat = y.reshape(math.prod(lead), *y.shape[y.ndim - rank :])
        found = jax.vmap(lambda one: least_squares(self._forward, self._adjoint, one))(
            flat
        )
        return found.reshape(*lead, *found.shape[1:])

    def _output_pattern(self) -> tuple[int | None, ...]:
        """Returns `output_shape`, with ANY for an axis of unknown size."""
        return self.output_shape


@operator_class
class Adjoint(Unmasked, Linear):
    """The adjoint A^T, which `A.T` makes.

    Attributes:
        operator: A.
    """

    operator: Any

    @property
    def input_shape(self) -> Any:
        return self.operator.output_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.operator.input_shape

    @property
    def num_measurements(self) -> int:
        return math.prod(self.output_shape)

    @property
    def T(self) -> Any:
        return self.operator

    def _forward(self, x: Array) -> Array:
        return self.operator._adjoint(x)

    def _adjoint(self, y: Array) -> Array:
        return self.operator._forward(y)

    def _input_pattern(self) -> tuple[int | None, ...]:
        return self.operator._output_pattern()

    def _output_pattern(self) -> tuple[int | None, ...]:
        return self.operator._input_pattern()


@operator_class
class Scaled(Linear):
    """The multiple c A, which `c * A` makes.

    Attributes:
        factor: c, a real number.
        operator: A.
    """

    factor: Any
    operator: Any

    @property
    def input_shape(self) -> ImageShape:
        return self.operator.input_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.operator.output_shape

    @property
    def mask(self) -> Array:
        return self.operator.mask

    @property
    def num_measurements(self) -> Any:
        return self.operator.num_measurements

    def fitted(self, image_shape: ImageShape) -> "Scaled":
        return Scaled(self.factor, self.operator.fitted(image_shape))

    def _forward(self, x: Array) -> Array:
        y = self.operator._forward(x)
        return jnp.asarray(self.factor, jnp.finfo(y.dtype).dtype) * y

    def _adjoint(self, y: Array) -> Array:
        return jnp.asarray(self.factor, jnp.finfo(y.dtype).dtype) * (
            self.operator._adjoint(y)
        )

    def _pinv(self, y: Array) -> Array:
        factor = jnp.asarray(self.factor, jnp.finfo(y.dtype).dtype)
        inverse = jnp.where(factor == 0, 0, 1 / jnp.where(factor == 0, 1, factor))
        return inverse * self.operator._pinv(y)

    def _input_pattern(self) -> tuple[int | None, ...]:
        return self.operator._input_pattern()

    def _output_pattern(self) -> tuple[int | None, ...]:
        return self.operator._output_pattern()


@operator_class
class Composed(Linear):
    """The composition outer(inner(x)), which `outer @ inner` makes.

    `outer` decides which entries are measured, and their number.
    """

    outer: Any
    inner: Any

    @property
    def input_shape(self) -> ImageShape:
        return self.inner.input_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.outer.output_shape

    @property
    def mask(self) -> Array:
        return self.outer.mask

    @property
    def num_measurements(self) -> Any:
        return self.outer.num_measurements

    def fitted(self, image_shape: ImageShape) -> "Composed":
        inner = self.inner.fitted(image_shape)
        return Composed(self.outer.fitted(inner.output_shape), inner)

    def _forward(self, x: Array) -> Array:
        return self.outer._forward(self.inner._forward(x))

    def _adjoint(self, y: Array) -> Array:
        return self.inner._adjoint(self.outer._adjoint(y))

    def _input_pattern(self) -> tuple[int | None, ...]:
        return self.inner._input_pattern()

    def _output_pattern(self) -> tuple[int | None, ...]:
        return self.outer._output_pattern()


@operator_class
class Sum(Linear):
    """The sum first(x) + second(x), which `first + second` makes.

    An entry of y is measured if either operator measures it.
    """

    first: Any
    second: Any

    @property
    def input_shape(self) -> ImageShape:
        return self.first.input_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.first.output_shape

    @property
    def mask(self) -> Array:
        masks = jnp.broadcast_arrays(self.first.mask, self.second.mask)
        return jnp.maximum(*masks)

    @property
    def num_measurements(self) -> Any:
        y = self._output()
        each = 2 if jnp.issubdtype(y.dtype, jnp.complexfloating) else 1
        return each * jnp.sum(jnp.broadcast_to(self.mask, y.shape))

    def fitted(self, image_shape: ImageShape) -> "Sum":
        return Sum(self.first.fitted(image_shape), self.second.fitted(image_shape))

    def _forward(self, x: Array) -> Array:
        return self.first._forward(x) + self.second._forward(x)

    def _adjoint(self, y: Array) -> Array:
        def back(operator: Any) -> Array:
            is_real = not jnp.issubdtype(operator._output().dtype, jnp.complexfloating)
            return operator._adjoint(y.real if is_real else y)

        return back(self.first) + back(self.second)

    def _input_pattern(self) -> tuple[int | None, ...]:
        return self.first._input_pattern()

    def _output_pattern(self) -> tuple[int | None, ...]:
        return self.first._output_pattern()


def add(first: Linear, second: Any) -> Sum:
    """Returns `first + second`.

    Raises:
        UserError: if an operator is not linear, or their shapes differ.
    """
    names = f"{type(first).__name__} + {type(second).__name__}"
    if not isinstance(second, Linear):
        raise UserError(f"{names}: found the second not linear, expected linear ones")
    # A size that one of them leaves open, the other may know.
    known = [a.input_shape for a in (first, second) if None not in a._input_pattern()]
    if known:
        first, second = first.fitted(known[0]), second.fitted(known[0])
    for what, found, expected in (
        ("images", second._input_pattern(), first._input_pattern()),
        ("measurements", second._output_pattern(), first._output_pattern()),
    ):
        if found != expected:
            raise UserError(
                f"{names}: found {what} of shape {shape_text(found)} for the second, "
                f"expected {shape_text(expected)}, as for the first"
            )
    return Sum(first, second)


def compose(outer: Linear, inner: Any) -> Composed:
    """Returns `outer @ inner`.

    Raises:
        UserError: if `inner` is not linear, or `outer` does not fit its output.
    """
    names = f"{type(outer).__name__} @ {type(inner).__name__}"
    if not isinstance(inner, Linear):
        raise UserError(f"{names}: found the second not linear, expected linear ones")
    # A size that one of them leaves open, the other may know.
    found, wanted = inner._output_pattern(), outer._input_pattern()
    fits = len(found) == len(wanted) and all(
        a == b or None in (a, b) for a, b in zip(found, wanted, strict=True)
    )
    if not fits:
        raise UserError(
            f"{names}: found output {inner.output_shape} of the second, expected "
            f"{outer.input_shape}, the input of the first"
        )
    if None not in wanted and None in found:
        pattern = inner._input_pattern()
        if pattern == found:  # as of a mask, which keeps the shape
            inner = inner.fitted(wanted)  # type: ignore[arg-type]
    elif None in wanted and None not in found:
        outer = outer.fitted(found)  # type: ignore[arg-type]
    return Composed(outer, inner)


def _as_factor(found: Any) -> Any:
    """Checks a factor, which must be a real number."""
    real = isinstance(found, numbers.Real) and not isinstance(found, bool)
    if real or (getattr(found, "shape", None) == () and not jnp.iscomplexobj(found)):
        return found if hasattr(found, "dtype") else float(found)
    raise UserError(
        f"c * A: found c of {type(found).__name__}, expected one real number"
    )
