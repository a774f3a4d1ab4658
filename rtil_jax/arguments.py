"""Declares and checks the arguments of methods, for Python and for configs alike.

A method's arguments are the fields of its class; `argument` declares each of them.
"""

import dataclasses
import math
import reprlib
from typing import Any

from rtil_jax.errors import UserError
from rtil_jax.fields import Condition, as_plain, check


def _is_whole(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


def _are_numbers(value: Any) -> bool:
    return isinstance(value, tuple) and all(map(_is_number, value))


def _are_whole(value: Any) -> bool:
    return isinstance(value, tuple) and all(map(_is_whole, value))


FLAG = Condition(lambda value: isinstance(value, bool), "True or False")
WHOLE = Condition(_is_whole, "a whole number from 0")
NUMBER = Condition(_is_number, "a number of at least 0")
ABOVE_0 = Condition(lambda value: value > 0, "above 0")
NUMBERS = Condition(_are_numbers, "a tuple of numbers of at least 0")
# A single number is used for all stages.
NUMBER_OR_NUMBERS = Condition(
    lambda value: _is_number(value) or _are_numbers(value),
    f"{NUMBERS.expected}, or one number for all stages",
)
WHOLE_OR_WHOLES = Condition(
    lambda value: _is_whole(value) or _are_whole(value),
    "a tuple of whole numbers from 0, or one whole number for all stages",
)


def argument(default: Any, *conditions: Condition, published: Any = None) -> Any:
    """Declares an argument of a method, as a field of its class.

    Args:
        default: its default value; None for one that depends on the generator.
        conditions: what its values must fulfil; an error reports the first that fails.
        published: the value that configs show if the default is None.
    """
    shown = default if published is None else published
    about = {"conditions": conditions, "published": shown}
    return dataclasses.field(default=default, metadata=about)


def published(method: Any) -> dict[str, Any]:
    """Returns {name: published value} of every argument of a method's class."""
    return {
        field.name: field.metadata["published"] for field in dataclasses.fields(method)
    }


def changed_arguments(method: Any) -> str:
    """Returns a method as Python writes it, with the arguments that differ only."""
    words = [
        f"{field.name}={value!r}"
        for field in dataclasses.fields(method)
        if (value := getattr(method, field.name))
        != field.metadata.get("published", field.default)
    ]
    return f"{type(method).__name__}({', '.join(words)})"


def clean_arguments(method: Any) -> None:
    """Checks every argument of a method, and converts it to plain hashable Python.

    Lists become tuples and NumPy numbers become Python numbers, because JAX needs to
    hash methods.

    Raises:
        UserError: if an argument has a wrong type or range; reports the first one.
    """
    for field in dataclasses.fields(method):
        value = getattr(method, field.name)
        if value is not None or field.default is not None:
            value = check_argument(field, value, f"method.{field.name}")
            object.__setattr__(method, field.name, value)


def check_argument(field: dataclasses.Field, value: Any, path: str) -> Any:
    """Returns the value of one argument as plain Python.

    Args:
        field: the field of the method's class.
        value: what the user gave.
        path: the name of the argument in an error, such as `method.steps`.

    Raises:
        UserError: if the value has a wrong type or range.
    """
    value = as_plain(value)
    for condition in field.metadata["conditions"]:
        check(value, condition, path)
    return value


def check_method(method: Any) -> None:
    """Raises UserError if this is neither a method, such as `ILO()`, nor a baseline."""
    if isinstance(method, type):
        name = method.__name__
        raise UserError(f"method: found the class {name}, expected {name}()")
    staged = hasattr(method, "stages") and hasattr(method, "start")
    if not staged and not callable(method):
        raise UserError(
            f"method: found {reprlib.repr(method)}, expected one such as ILO(), "
            "CSGM(), MGANPrior() or Surgery()"
        )
