"""The two ways to call `invert`: with a `Problem`, or with y and its operator."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from rtil_jax.arrays import as_array
from rtil_jax.errors import UserError
from rtil_jax.inversion.problems import Problem
from rtil_jax.inversion.readings import read_operators
from rtil_jax.operators.interface import ForwardOperator, ImageShape

FORM = "invert(method, prior, y, operator, key=0)"
# What a problem's parts are called by those who have handed in none.
_NAMES = {"problem.measurements": "y", "problem.operators": "operator"}


def as_problem(
    problem: Any, keys: Any, y: Any, operator: Any, key: Any
) -> tuple[Any, Any, bool]:
    """(the problem, its keys, whether it was made of y and an operator).

    Args:
        problem: the third positional argument of `invert`: a `Problem`, or y.
        keys: the fourth: keys, or the operator of y.
        y: by name, or None.
        operator: likewise.
        key: likewise.

    Raises:
        UserError: if something is missing, or said twice.
    """
    named = y is not None or operator is not None
    if isinstance(problem, Problem):
        if named or callable(keys):
            raise UserError(
                f"invert: found y or an operator beside a Problem, expected {FORM}, or "
                "invert(method, prior, problem, key=0)"
            )
        keys = _one_of("key", key, keys)
        if keys is None:
            raise UserError("key: found none, expected a seed, as key=0")
        return problem, keys, False
    if key is None and not named and not callable(problem) and _are_keys(keys):
        return problem, keys, False  # no problem, as `settle` says
    y = _one_of("y", y, problem)
    operator = _one_of("operator", operator, keys)
    for name, value in (("y", y), ("operator", operator), ("key", key)):
        if value is None:
            expected = "a seed, as in " if name == "key" else ""
            raise UserError(f"{name}: found none, expected {expected}{FORM}")
    if callable(y):
        kind = type(y).__name__
        raise UserError(f"y: found a {kind}, expected measurements, as in {FORM}")
    return Problem(operator, jnp.asarray(as_array("y", y))), key, True


def _are_keys(found: Any) -> bool:
    """Whether they are meant to be keys rather than an operator."""
    dtype = getattr(found, "dtype", None)
    if dtype is None:
        return isinstance(found, int | list | tuple)
    is_key = jnp.issubdtype(dtype, jax.dtypes.prng_key)
    return is_key or jnp.issubdtype(dtype, jnp.integer)


def _one_of(name: str, first: Any, second: Any) -> Any:
    if first is not None and second is not None:
        raise UserError(f"invert: found two values of {name}, expected one")
    return second if first is None else first


def with_batch_axis(problem: Problem, image_shape: ImageShape) -> Problem:
    """The problem with a batch axis, where y is A(x) of one image without one.

    What has another number of axes is returned as it is.

    Raises:
        UserError: if it has as many as A(x) of one image, but another shape.
    """
    operator, y = problem.operators, problem.measurements
    if isinstance(operator, ForwardOperator):
        operator = operator.fitted(image_shape)
    try:
        x = jax.ShapeDtypeStruct(image_shape, "float32")
        one = jax.eval_shape(lambda x: operator(x), x).shape
    except Exception:  # an operator of others' fails in any way; `settle` tells of it
        return problem
    if y.ndim != len(one):
        return problem
    with contextlib.suppress(UserError):
        # One operator per image may be called on a single image too, and broadcast.
        read_operators(operator, y, image_shape, None)
        return problem
    if y.shape != one:
        raise UserError(
            f"y: found shape {y.shape}, expected {one}, what {type(operator).__name__} "
            f"measures of one image of {image_shape}, or a batch axis before it"
        )
    return problem.replace(measurements=y[None])  # type: ignore[attr-defined]


@contextlib.contextmanager
def called(own: bool) -> Iterator[None]:
    """A block whose errors say y and operator, if these were handed in."""
    try:
        yield
    except UserError as error:
        if not own:
            raise
        text = str(error)
        for name, said in _NAMES.items():
            text = text.replace(name, said)
        raise UserError(text) from error
