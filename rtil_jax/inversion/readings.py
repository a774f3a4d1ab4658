"""Finds out whether all images of a batch share one operator, or each has its own.

The first axis of an operator's arrays may or may not count images. For the operators of
this library the number of axes decides. For others both readings are tried without
computing anything: the right one has the shape of the measurements.
"""

import inspect
import reprlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array

from rtil_jax.arrays import extent_of, is_traced
from rtil_jax.errors import UserError
from rtil_jax.operators.interface import ForwardOperator, ImageShape

_NO_NUMBERS = (np.dtype(object), np.dtype(str))
_CHOOSE = "Problem(..., shared=True) or shared=False says which"


@struct.dataclass
class OpaqueOperator:
    """An operator that is not a pytree, so that all images share it.

    Its arrays become constants of the compiled program. The program is compiled for
    every call, because the arrays may have changed.
    """

    call: Callable = struct.field(pytree_node=False)
    num_measurements: Any

    def __call__(self, x: Array) -> Any:
        return self.call(x)


def read_operators(
    operators: Any, measurements: Array, image_shape: ImageShape, shared: bool | None
) -> tuple[Any, bool]:
    """Returns (the operators as a pytree of arrays, whether all images share them).

    Args:
        operators: the field of a `Problem`.
        measurements: y, `(batch, ...)`.
        image_shape: `(height, width, channels)` of one image.
        shared: the field of a `Problem`; None to find out.

    Raises:
        UserError: if the measurements of the operators have another shape than y, or
            both readings fit.
    """
    name = type(operators).__name__
    _check_interface(operators)
    if isinstance(operators, ForwardOperator):
        operators = operators.fitted(image_shape)
        _check_image_shape(operators, image_shape)
    if not _all_arrays(operators):
        shared, operators = _refuse_batch(shared, name), _opaque(operators)
    shared = _by_rank(operators, shared, len(measurements))
    tried = {
        way: _try(operators, way, len(measurements), image_shape)
        for way in ((True, False) if shared is None else (shared,))
    }
    fitting = [way for way, y in tried.items() if _fits(y, measurements)]
    if not fitting and isinstance(tried.get(True), str):
        # Numbers that decide on shapes or indices must not become traced arguments.
        y = _try(_opaque(operators), True, len(measurements), image_shape)
        if _fits(y, measurements):
            operators, fitting, tried = _opaque(operators), [True], {True: y}
    if not fitting:
        raise UserError(_misfit(name, operators, tried, measurements, image_shape))
    if len(fitting) == 2 and not _agree(operators, measurements, image_shape):
        raise UserError(
            f"problem.operators: found {name}, which may be one operator for all "
            f"{len(measurements)} measurements or one for each; {_CHOOSE}"
        )
    _check_kind(name, tried[fitting[0]], measurements)
    shared = fitting[0]
    return operators if shared else _batched(operators, len(measurements)), shared


def _check_interface(operators: Any) -> None:
    name = type(operators).__name__
    if isinstance(operators, list | tuple) and not callable(operators):
        raise UserError(
            f"problem.operators: found a {name}, expected one operator, or several "
            "stacked: jax.tree.map(lambda *x: jnp.stack(x), *operators)"
        )
    if isinstance(operators, type):
        raise UserError(
            f"problem.operators: found the class {operators.__name__}, expected an "
            "operator of that class"
        )
    if not callable(operators):
        raise UserError(
            f"problem.operators: found {_in_words(operators)}, expected an operator: "
            "something to call on an image, with `num_measurements`"
        )
    # `hasattr` on the instance would compute it, which may fail for a batch.
    count = inspect.getattr_static(operators, "num_measurements", None)
    if count is None and not hasattr(operators, "num_measurements"):
        raise UserError(
            f"problem.operators: found {getattr(operators, '__name__', name)} without "
            "`num_measurements`, expected that attribute: how many numbers are "
            "measured of an image; operators.from_function(f, image_shape) has it"
        )
    if inspect.isfunction(count):
        raise UserError(
            f"problem.operators: found {name}.num_measurements to be a method, "
            "expected a number: write @property above it"
        )


def _in_words(found: Any) -> str:
    """Describes a value that is not an operator, for an error message."""
    if hasattr(found, "dtype") and hasattr(found, "shape"):
        return f"an array of shape {tuple(found.shape)}"
    if found is None or isinstance(found, str | int | float):
        return reprlib.repr(found)
    return f"a {type(found).__name__}"


def _check_image_shape(operators: ForwardOperator, image_shape: ImageShape) -> None:
    """Raises UserError if an operator of the library is for images of another shape."""
    known = tuple(operators.input_shape)
    if known != tuple(image_shape):
        raise UserError(
            f"problem.operators: found {type(operators).__name__} for images of "
            f"{known}, expected {tuple(image_shape)}"
        )


def _check_mask(operator: Any) -> None:
    """Raises UserError if the mask of a library operator holds other than 0 and 1."""
    extent = extent_of(operator.mask)
    if extent is not None and not 0 <= extent[0] <= extent[1] <= 1:
        raise UserError(
            f"problem.operators: found {type(operator).__name__} with a mask from "
            f"{extent[0]:g} to {extent[1]:g}, expected 1 where something is measured "
            "and 0 elsewhere"
        )


def _all_arrays(operators: Any) -> bool:
    numbers = jax.Array | np.ndarray | np.generic | int | float | complex
    return all(
        isinstance(x, numbers) and getattr(x, "dtype", None) not in _NO_NUMBERS
        for x in jax.tree.leaves(operators)
    )


def _refuse_batch(shared: bool | None, name: str) -> bool:
    if shared is False:
        raise UserError(
            f"problem.operators: found {name}, which is not a pytree of arrays, with "
            "shared=False, expected a class under @flax.struct.dataclass, which can "
            "have a batch axis"
        )
    return True


def _opaque(operators: Any) -> OpaqueOperator:
    try:
        count = operators.num_measurements
    except Exception:  # it may fail for a batch; `_try` then says why
        count = ()
    return OpaqueOperator(lambda x: operators(x), count)


def _by_rank(operators: Any, shared: bool | None, batch: int) -> bool | None:
    """Decides by the number of axes of library operators; else returns `shared`."""
    if not jax.tree.leaves(operators):
        return True
    ways = set()
    for part in filter(_known_rank, jax.tree.leaves(operators, is_leaf=_known_rank)):
        _check_mask(part)
        for array in jax.tree.leaves(part):
            rank: int = part.array_rank
            name, extra = type(part).__name__, jnp.ndim(array) - rank
            if extra not in (0, 1):
                raise UserError(
                    f"problem.operators: found {name} with an array of shape "
                    f"{array.shape}, expected {rank} axes, or a batch axis before them"
                )
            if extra and len(array) != batch:
                raise UserError(_another_number(len(array), batch))
            ways.add(not extra)
    if len(ways) == 2:
        raise UserError(
            "problem.operators: found arrays with and without a batch axis, expected "
            "a batch axis on all arrays or on none"
        )
    if not ways:
        return shared
    (way,) = ways
    if shared is not None and shared != way:
        axis = "no batch axis" if way else "a batch axis"
        raise UserError(
            f"problem.shared: found {shared} for {type(operators).__name__} with "
            f"{axis}, expected {way}"
        )
    return way


def _known_rank(part: Any) -> bool:
    """Tells whether an operator's class states how many axes its arrays have."""
    return isinstance(part, ForwardOperator) and part.array_rank is not None


def _another_number(found: int, batch: int) -> str:
    several, hint = f"{found} operators", ""
    if found == 1:
        several = "1 operator with a batch axis"
        hint = "; jax.tree.map(lambda x: x[0], operator) is one for all"
    return (
        f"problem.operators: found {several} for {batch} measurements, expected one "
        f"for all or one for each{hint}"
    )


def _batched(operators: Any, batch: int) -> Any:
    """Gives each image its operator; all images share numbers without axes."""
    return jax.tree.map(
        lambda x: x if jnp.ndim(x) else jnp.broadcast_to(x, (batch,)), operators
    )


def _try(
    operators: Any, shared: bool, batch: int, image_shape: ImageShape
) -> jax.ShapeDtypeStruct | str:
    """Returns the shape of the measurements in one reading, or why it fails."""

    def one_image(operator: Any, x: Array) -> tuple[Any, Any]:
        return operator(x), _count(operator)

    if not shared:
        leaves = [x for x in jax.tree.leaves(operators) if jnp.ndim(x)]
        if not leaves or any(len(x) != batch for x in leaves):
            return f"not all of its arrays begin with an axis of length {batch}"
        operators = _batched(operators, batch)
    images = jax.ShapeDtypeStruct((batch, *image_shape), jnp.float32)
    every = jax.vmap(one_image, (None if shared else 0, 0))
    try:
        y, count = jax.eval_shape(every, operators, images)
    except Exception as error:  # a user's code may raise anything
        return first_line(error)
    if not hasattr(y, "shape"):
        return f"it returns a {type(y).__name__}, not one array"
    if count.shape != (batch,):
        return f"its num_measurements has shape {count.shape[1:]}, not ()"
    return y


def _count(operator: Any) -> Array:
    count = operator.num_measurements
    try:
        return jnp.asarray(count)
    except (TypeError, ValueError) as error:
        found = reprlib.repr(count)
        raise TypeError(f"num_measurements is {found}, not a number") from error


def first_line(error: BaseException) -> str:
    """Returns the class of an exception and the first line of its message."""
    if isinstance(error, jax.errors.TracerArrayConversionError):
        return "it calls NumPy, where only jax.numpy can be differentiated"
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}"


def _fits(found: jax.ShapeDtypeStruct | str, measurements: Array) -> bool:
    return not isinstance(found, str) and found.shape == measurements.shape


def _misfit(
    name: str, operators: Any, tried: dict, measurements: Array, image_shape: ImageShape
) -> str:
    """Explains why neither reading has the shape of the measurements."""
    found, batch = measurements.shape, len(measurements)
    for number in {len(x) for x in jax.tree.leaves(operators) if jnp.ndim(x)}:
        y = _try(operators, False, number, image_shape)
        if number != batch and False in tried and _measures(y, found[1:]):
            return _another_number(number, batch)
    whats = f"what {name} measures of each image of {tuple(image_shape)}"
    shapes = {y.shape for y in tried.values() if not isinstance(y, str)}
    if shapes:
        expected = " or ".join(map(str, sorted(shapes)))
        single = any(shape[1:] == found for shape in shapes)
        hint = "; measurements[None] are those of a single image" if single else ""
        return (
            f"problem.measurements: found shape {found}, expected {expected}, {whats}"
            f"{hint}"
        )
    reasons = {("one for all" if way else "one each"): y for way, y in tried.items()}
    because = "; ".join(f"{way}, {why}" for way, why in reasons.items())
    return (
        f"problem.operators: found {name} that cannot measure images of "
        f"{tuple(image_shape)} as {batch} arrays of {found[1:]} ({because})"
    )


def _measures(y: jax.ShapeDtypeStruct | str, shape: tuple[int, ...]) -> bool:
    return not isinstance(y, str) and y.shape[1:] == shape


def _agree(operators: Any, measurements: Array, image_shape: ImageShape) -> bool:
    """Tells whether both readings give the same numbers, as for a single image."""
    if len(measurements) > 1:
        return False
    x = jax.random.normal(jax.random.key(0), (1, *image_shape), jnp.float32)
    shared, own = (
        jax.vmap(lambda a, x: (a(x), jnp.asarray(a.num_measurements)), (axis, 0))(of, x)
        for axis, of in ((None, operators), (0, _batched(operators, 1)))
    )
    return not is_traced((shared, own)) and all(map(np.allclose, shared, own))


def _check_kind(name: str, y: Any, measurements: Array) -> None:
    """Raises UserError if one of A(x) and y is real and the other complex."""
    if not jnp.issubdtype(y.dtype, jnp.inexact):
        raise UserError(
            f"problem.operators: found {name} that returns {y.dtype}, expected "
            "floating-point numbers, which have a gradient"
        )
    kinds = [
        "complex" if jnp.issubdtype(x.dtype, jnp.complexfloating) else "real"
        for x in (measurements, y)
    ]
    if kinds[0] != kinds[1]:
        raise UserError(
            f"problem.measurements: found {kinds[0]} numbers, expected {kinds[1]} "
            f"ones, as {name} returns"
        )
