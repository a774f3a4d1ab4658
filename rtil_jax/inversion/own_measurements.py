"""Reads the two forms of `invert`: with a `Problem`, or with y and its operator."""

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
# How errors name the parts of a problem to a caller who passed y and an operator.
_NAMES = {"problem.measurements": "y", "problem.operators": "operator"}


def as_problem(
    problem: Any, keys: Any, y: Any, operator: Any, key: Any
) -> tuple[Any, Any, bool]:
    """Returns (problem, keys, whether the caller passed y and an operator).

    Args:
        problem: the third positional argument of `invert`: a `Problem`, or y.
        keys: the fourth positional argument: keys, or the operator of y.
        y: the measurements, if given by name, or None.
        operator: the operator, if given by name, or None.
        key: the key, if given by name, or None.

    Raises:
        UserError: if an argument is missing, or given twice.
    """
    named = y is not None or operator is not None
    if isinstance(problem, Problem):
        if named or callable(keys):
            raise UserError(
                f"invert: found a Problem and y or an operator, expected {FORM}, or "
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
    """Tells whether the argument holds keys rather than an operator."""
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
    """Adds a batch axis to y if it holds the measurements of one image without one.

    Returns the problem unchanged if y has another number of axes.

    Raises:
        UserError: if y has as many axes as A(x) of one image, but another shape.
    """
    operator, y = problem.operators, problem.measurements
    if isinstance(operator, ForwardOperator):
        operator = operator.fitted(image_shape)
    try:
        x = jax.ShapeDtypeStruct(image_shape, "float32")
        one = jax.eval_shape(lambda x: operator(x), x).shape
    except Exception:  # a user's operator may raise anything; `settle` reports it
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
    """Makes errors in its block name `y` and `operator` if the caller passed these."""
    try:
        yield
    except UserError as error:
        if not own:
            raise
        text = str(error)
        for name, said in _NAMES.items():
            text = text.replace(name, said)
        raise UserError(text) from error
