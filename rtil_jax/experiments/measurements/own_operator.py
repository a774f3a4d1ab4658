"""Loads the user's operator for `--config.operator=FILE.py:NAME`."""

import os
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp

from rtil_jax.errors import UserError
from rtil_jax.files import local_path, run_python
from rtil_jax.inversion.readings import first_line
from rtil_jax.operators import from_function
from rtil_jax.operators.interface import ForwardOperator, ImageShape


def load_operator(called: str, image_shape: ImageShape) -> Any:
    """Runs FILE.py and returns its operator NAME.

    NAME is an operator; a function or class that makes an operator from an argument
    called `image_shape`; or the function A itself, which maps one image
    `(height, width, channels)` in JAX. Because the file is run, only use files that you
    trust.

    Args:
        called: FILE.py:NAME.
        image_shape: `(height, width, channels)` of the images to recover.

    Raises:
        UserError: if the file or the name does not exist, the file raises an error, or
            NAME is not an operator for such images.
    """
    path, separator, name = called.rpartition(":")
    if not separator or not name.isidentifier() or not path.endswith(".py"):
        raise UserError(
            f"config.operator: found {called}, expected FILE.py:NAME, such as "
            "operator.py:blur"
        )
    module = _run(local_path(path, "config.operator"))
    if not hasattr(module, name):
        known = ", ".join(n for n in vars(module) if not n.startswith("_"))
        raise UserError(
            f"config.operator: found no {name} in {path}, expected one of {known}"
        )
    found = getattr(module, name)
    if _makes(found):
        try:
            found = found(image_shape=image_shape)
        except UserError:
            raise
        except (Exception, SystemExit) as error:  # a user's code may raise anything
            raise UserError(
                f"config.operator: {called} raises {first_line(error)}"
            ) from error
    if isinstance(found, ForwardOperator):
        found = found.fitted(image_shape)
    if not hasattr(found, "num_measurements"):
        found = _of_function(called, found, image_shape)
    _check(called, found, image_shape)
    return found


def _run(path: str) -> ModuleType:
    if not os.path.isfile(path):
        raise UserError(f"config.operator: found no file {path}, expected FILE.py:NAME")
    try:
        return run_python(path, "rtil_jax_own_operator")
    except (Exception, SystemExit) as error:  # whatever a user's code may raise
        raise UserError(
            f"config.operator: {path} raises {first_line(error)}"
        ) from error


def _makes(found: Any) -> bool:
    """Tells whether this is a class or function with an argument `image_shape`."""
    code = getattr(found, "__code__", None)
    names = (
        code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code else ()
    )
    return isinstance(found, type) or "image_shape" in names


def _of_function(called: str, function: Any, shape: ImageShape) -> Any:
    """Makes an operator from A; it counts as linear if A(0) = 0 and A is additive."""
    try:
        if callable(function):
            jax.eval_shape(function, jax.ShapeDtypeStruct(shape, jnp.float32))
        operator = from_function(function, shape, linear=False)
        linear = _is_linear(function, shape)
        return from_function(function, shape) if linear else operator
    except UserError as error:
        raise UserError(f"config.operator: {called}: {error}") from error
    except (Exception, SystemExit) as error:  # whatever a user's code may raise
        raise UserError(
            f"config.operator: {called} raises {first_line(error)}"
        ) from error


def _is_linear(function: Any, shape: ImageShape) -> bool:
    keys = jax.random.split(jax.random.key(0), 2)
    x, z = (jax.random.normal(key, shape, jnp.float32) for key in keys)
    y = function(2 * x + z)
    close = jnp.linalg.norm(y - 2 * function(x) - function(z))
    return bool(close <= 1e-3 * jnp.linalg.norm(y))


def _check(called: str, operator: Any, shape: ImageShape) -> None:
    """Raises UserError if an operator cannot measure images of this shape."""
    known = getattr(operator, "input_shape", shape)
    if tuple(known) != tuple(shape):
        raise UserError(
            f"config.operator: found {called} for images of {tuple(known)}, expected "
            f"{tuple(shape)}, the images of the prior"
        )
    try:
        y = jax.eval_shape(operator, jax.ShapeDtypeStruct(shape, jnp.float32))
    except (Exception, SystemExit) as error:  # whatever a user's code may raise
        raise UserError(
            f"config.operator: {called} raises {first_line(error)} on images of {shape}"
        ) from error
    if not hasattr(y, "shape"):
        raise UserError(
            f"config.operator: found {called} that returns a {type(y).__name__}, "
            "expected one array"
        )
