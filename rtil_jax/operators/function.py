"""Makes operators from functions in JAX, and from operators of other libraries."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array

from rtil_jax.errors import UserError
from rtil_jax.operators.algebra import Linear
from rtil_jax.operators.checks import as_image_shape
from rtil_jax.operators.interface import ForwardOperator, ImageShape, Unmasked
from rtil_jax.operators.pytrees import operator_class


@operator_class
class Function(Unmasked, ForwardOperator):
    """An operator y = f(x) that need not be linear; `from_function` makes it."""

    function: Any
    image_shape: ImageShape = struct.field(pytree_node=False)

    def _forward(self, x: Array) -> Array:
        return _one_by_one(self.function, x, 3)


@operator_class
class LinearFunction(Unmasked, Linear):
    """A linear operator y = f(x); `from_function` makes it.

    Attributes:
        function: f.
        transpose: the adjoint of f; None lets JAX derive it.
        image_shape: `(height, width, channels)`.
    """

    function: Any
    transpose: Any
    image_shape: ImageShape = struct.field(pytree_node=False)

    def _forward(self, x: Array) -> Array:
        return _one_by_one(self.function, x, 3)

    def _adjoint(self, y: Array) -> Array:
        if self.transpose is None:
            return super()._adjoint(y)
        return _one_by_one(self.transpose, y, len(self.output_shape))


def from_function(
    f: Any, image_shape: Any, *, adjoint: Any = None, linear: bool = True
) -> LinearFunction | Function:
    """Makes an operator y = f(x) that can do all that the library's operators can.

    JAX derives its adjoint by `jax.linear_transpose`. Every number that f returns
    counts as measured.

    >>> import jax.numpy as jnp
    >>> A = from_function(lambda x: jnp.cumsum(x, axis=0), (8, 8, 3))
    >>> float((A(A.pinv(A(jnp.ones((8, 8, 3))))) - A(jnp.ones((8, 8, 3)))).max()) < 1e-4
    True

    It also wraps operators of scico, such as a `LinearOperator` B of grey images:

        A = from_function(lambda x: B(x[..., 0]), (*B.input_shape, 1))

    scico 0.0.7 asks for an older JAX than this package, but works with a newer one if
    installed by `pip install --no-deps scico`.

    Args:
        f: a pure function in JAX of one image, `(height, width, channels)`, which
            returns one array, real or complex. It becomes part of the compiled program.
            If it has arrays that change, make it a callable pytree.
        image_shape: `(height, width, channels)` of the images that f takes.
        adjoint: a function of measurements, if JAX cannot transpose f (because it calls
            compiled code, for example), or to replace JAX's transpose.
        linear: whether f is linear; if not, the operator has no `T` and no `pinv`.

    Raises:
        UserError: if f fails on such images, does not return an array, or is not linear
            although `linear` is True.
    """
    shape = as_image_shape("from_function", image_shape)
    name = getattr(f, "__name__", type(f).__name__)
    if not callable(f):
        raise UserError(f"from_function: found a {name}, expected a function of images")
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    try:
        y = jax.eval_shape(f, x)
    except Exception as error:  # a user's code may raise anything
        raise UserError(
            f"from_function: {name} fails on images of {shape} ({_first_line(error)})"
        ) from error
    if not hasattr(y, "dtype") or not jnp.issubdtype(y.dtype, jnp.inexact):
        kind = getattr(y, "dtype", type(y).__name__)
        raise UserError(
            f"from_function: found {name} that returns {kind}, expected one array of "
            "floating-point numbers"
        )
    if not linear:
        return Function(_as_pytree(f), shape)
    operator = LinearFunction(
        _as_pytree(f), None if adjoint is None else _as_pytree(adjoint), shape
    )
    _check_linear(operator, name, y)
    return operator


def _check_linear(operator: LinearFunction, name: str, y: Any) -> None:
    """Raises UserError if f(0) is not 0, or A^T has no form or another shape."""
    expected = "expected a linear function, or linear=False"
    if not jnp.allclose(operator(jnp.zeros(operator.image_shape, jnp.float32)), 0):
        raise UserError(
            f"from_function: found {name} whose value at 0 is not 0, {expected}"
        )
    try:
        back = jax.eval_shape(operator._adjoint, y)
    except Exception as error:  # whatever a user's code may raise, or JAX of it
        raise UserError(
            f"from_function: {name} cannot be transposed ({_first_line(error)}), "
            f"{expected}, or adjoint=..."
        ) from error
    if getattr(back, "shape", None) != operator.image_shape:
        raise UserError(
            "from_function: found an adjoint that returns "
            f"{getattr(back, 'shape', back)}, expected {operator.image_shape}"
        )


def _one_by_one(function: Callable, x: Array, rank: int) -> Array:
    """Applies `function` to every array of the last `rank` axes."""
    lead = x.shape[: x.ndim - rank]
    if not lead:
        return function(x)
    flat = x.reshape(math.prod(lead), *x.shape[x.ndim - rank :])
    found = jax.vmap(function)(flat)
    return found.reshape(*lead, *found.shape[1:])


def _as_pytree(function: Any) -> Any:
    """Wraps a function that is not a pytree of arrays as a static part of one."""
    leaves = jax.tree.leaves(function)
    if leaves and all(hasattr(x, "dtype") for x in leaves):
        return function
    try:
        hash(function)
    except TypeError:
        return jax.tree_util.Partial(lambda x: function(x))
    return jax.tree_util.Partial(function)


def _first_line(error: Exception) -> str:
    if isinstance(error, jax.errors.TracerArrayConversionError):
        return "it calls NumPy, where only jax.numpy can be differentiated"
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
