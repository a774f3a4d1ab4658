"""What the arguments of methods may be, checked once: in Python and in a config."""

import dataclasses
import math
import reprlib
from typing import Any

from rtil_jax.errors import UserError


def default_of(field: dataclasses.Field) -> Any:
    """The published value of a method's argument.

    An argument that is None by default depends on the generator; its published value,
    which configs show, is in the field's metadata.
    """
    return field.metadata.get("published", field.default)


def clean_arguments(method: Any) -> None:
    """Checks every argument of a method, and makes plain hashable Python of it.

    Lists become tuples and NumPy's numbers Python's, because JAX needs methods that it
    can hash.

    Raises:
        UserError: for the first argument of a wrong type or range.
    """
    for field in dataclasses.fields(method):
        value = getattr(method, field.name)
        if value is None and field.default is None:
            continue
        value = plain_value(value)
        check_argument(f"method.{field.name}", value, field)
        object.__setattr__(method, field.name, value)


def plain_value(value: Any) -> Any:
    """A list as a tuple, and arrays and NumPy's numbers as Python's."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(map(plain_value, value)) if isinstance(value, list | tuple) else value


def check_method(method: Any) -> None:
    """Raises UserError unless it has a method's two functions, as `ILO()` has."""
    if isinstance(method, type):
        name = method.__name__
        raise UserError(f"method: found the class {name}, expected {name}()")
    if not hasattr(method, "stages") or not hasattr(method, "start"):
        raise UserError(
            f"method: found {reprlib.repr(method)}, expected one such as ILO(), "
            "CSGM(), MGANPrior() or Surgery()"
        )


def check_argument(path: str, value: Any, field: dataclasses.Field) -> None:
    """Raises UserError if `value` cannot be that of the field, called `path`."""
    default = default_of(field)
    if isinstance(default, str):
        known = field.metadata["known"]
        expected = f"one of {', '.join(known)}"
        fits = isinstance(value, str) and value in known
        return _require(fits, path, value, expected)
    if isinstance(default, bool):
        return _require(isinstance(value, bool), path, value, "True or False")
    several = isinstance(default, tuple)
    one_for_all = several and field.metadata.get("one_for_all", False)
    whole = isinstance(default, int) or field.name == "steps"
    kinds = (int,) if whole else (int, float)
    numbers = value if several and isinstance(value, tuple) else (value,)
    fits = isinstance(value, tuple) == several or one_for_all
    fits = fits and all(type(n) in kinds and 0 <= n < math.inf for n in numbers)
    kind = "whole number" if whole else "number"
    least = "from 0" if whole else "of at least 0"
    expected = f"a tuple of {kind}s {least}" if several else f"a {kind} {least}"
    if one_for_all:
        expected += f", or one {kind} for all stages"
    _require(fits, path, value, expected)
    if field.name == "prior_sigma":
        _require(value > 0, path, value, "above 0")


def _require(condition: bool, path: str, found: Any, expected: str) -> None:
    if not condition:
        found = reprlib.repr(found)
        raise UserError(f"{path}: found {found}, expected {expected}")
