"""Stacks the measurements of several operators on one image."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rtil_jax.errors import UserError
from rtil_jax.operators.algebra import Linear
from rtil_jax.operators.interface import ImageShape
from rtil_jax.operators.pytrees import operator_class, stored


@operator_class
class Stack(Linear):
    """Measures one image with several operators: y is a vector of A_1 x, A_2 x, ...

    Each part is flattened. If all parts are complex, y is complex. If only some are, a
    complex part becomes its real parts followed by its imaginary parts.

    >>> import jax.numpy as jnp
    >>> from rtil_jax.operators import Blur, SuperResolution
    >>> shape = (8, 8, 3)
    >>> A = Stack(SuperResolution(2, shape), Blur(jnp.ones((3, 3)) / 9, shape))
    >>> y = A(jnp.ones(shape))
    >>> y.shape, [part.shape for part in A.split(y)]
    ((240,), [(4, 4, 3), (8, 8, 3)])

    Attributes:
        operators: A_1, A_2, ..., a tuple of linear operators.
    """

    operators: Any

    def __init__(self, *operators: Any) -> None:
        """Stacks linear operators that take the same images.

        Raises:
            UserError: if one is not a linear operator, or the image shapes differ.
        """
        if not operators:
            raise UserError("Stack: found no operators, expected Stack(A, B, ...)")
        for operator in operators:
            if not isinstance(operator, Linear):
                raise UserError(
                    f"Stack: found {type(operator).__name__}, expected linear operators"
                )
        closed = [a for a in operators if None not in a._input_pattern()]
        shape = (closed or operators)[0].input_shape
        operators = tuple(operator.fitted(shape) for operator in operators)
        for operator in operators:
            if operator.input_shape != shape:
                raise UserError(
                    f"Stack: found {type(operator).__name__} for images of "
                    f"{operator.input_shape}, expected {shape}, as for the others"
                )
        object.__setattr__(self, "operators", operators)

    @property
    def input_shape(self) -> ImageShape:
        return self.operators[0].input_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (sum(size for _, size in self._parts()),)

    @property
    def num_measurements(self) -> Any:
        return sum(operator.num_measurements for operator in self.operators)

    @property
    def mask(self) -> Float[Array, " m"]:
        """1 for entries that are measured, 0 elsewhere."""
        pieces = []
        for operator, (y, size) in zip(self.operators, self._parts(), strict=True):
            flat = jnp.broadcast_to(operator.mask, y.shape).reshape(-1)
            pieces.append(jnp.tile(flat, size // len(flat)))
        return jnp.concatenate(pieces)

    def split(self, y: Any) -> list[Array]:
        """Splits y into the measurements of each operator, in their own shapes."""
        y = self._checked("measurements", y, self.output_shape)
        ends = np.cumsum([size for _, size in self._parts()])[:-1]
        pieces = jnp.split(y, ends, axis=-1)
        lead, found = y.shape[:-1], []
        for piece, (part, size) in zip(pieces, self._parts(), strict=True):
            if size > math.prod(part.shape):
                real, imaginary = jnp.split(piece, 2, axis=-1)
                piece = jax.lax.complex(real, imaginary)
            found.append(piece.reshape(*lead, *part.shape))
        return found

    def fitted(self, image_shape: ImageShape) -> "Stack":
        operators = tuple(a.fitted(image_shape) for a in self.operators)
        return stored(Stack, operators=operators)

    def _forward(self, x: Array) -> Array:
        lead, pieces = x.shape[:-3], []
        for operator, (part, size) in zip(self.operators, self._parts(), strict=True):
            flat = operator._forward(x).reshape(*lead, math.prod(part.shape))
            if size > flat.shape[-1]:
                flat = jnp.concatenate([flat.real, flat.imag], axis=-1)
            pieces.append(flat)
        return jnp.concatenate(pieces, axis=-1)

    def _adjoint(self, y: Array) -> Array:
        parts = zip(self.operators, self.split(y), strict=True)
        return sum(operator._adjoint(part) for operator, part in parts)

    def _parts(self) -> list[tuple[jax.ShapeDtypeStruct, int]]:
        """Returns the output of each operator, and its number of entries in y."""
        parts = [operator._output() for operator in self.operators]
        kinds = [jnp.issubdtype(y.dtype, jnp.complexfloating) for y in parts]
        twice = any(kinds) and not all(kinds)
        return [
            (y, math.prod(y.shape) * (2 if twice and kind else 1))
            for y, kind in zip(parts, kinds, strict=True)
        ]
