"""What the arguments of methods may be, checked once: in Python and in a config.

A method's arguments are the fields of its class, each made by `argument`.
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
# One of these is for all stages alike.
NUMBER_OR_NUMBERS = Condition(
    lambda value: _is_number(value) or _are_numbers(value),
    f"{NUMBERS.expected}, or one number for all stages",
)
WHOLE_OR_WHOLES = Condition(
    lambda value: _is_whole(value) or _are_whole(value),
    "a tuple of whole numbers from 0, or one whole number for all stages",
)


def argument(default: Any, *conditions: Condition, published: Any = None) -> Any:
    """A field of a method.

    Args:
        default: None for one that depends on the generator.
        conditions: what holds for its values; the first that does not is told of.
        published: the value that configs show where the default is None.
    """
    shown = default if published is None else published
    about = {"conditions": conditions, "published": shown}
    return dataclasses.field(default=default, metadata=about)


def published(method: Any) -> dict[str, Any]:
    """Name -> published value of every argument of a method's class."""
    return {
        field.name: field.metadata["published"] for field in dataclasses.fields(method)
    }


def changed_arguments(method: Any) -> str:
    """A method as Python writes it, without the arguments that are as published."""
    words = [
        f"{field.name}={value!r}"
        for field in dataclasses.fields(method)
        if (value := getattr(method, field.name))
        != field.metadata.get("published", field.default)
    ]
    return f"{type(method).__name__}({', '.join(words)})"


def clean_arguments(method: Any) -> None:
    """Checks every argument of a method, and makes plain hashable Python of it.

    Lists become tuples and NumPy's numbers Python's, because JAX needs methods that it
    can hash.

    Raises:
        UserError: for the first argument of a wrong type or range.
    """
    for field in dataclasses.fields(method):
        value = getattr(method, field.name)
        if value is not None or field.default is not None:
            value = check_argument(field, value, f"method.{field.name}")
            object.__setattr__(method, field.name, value)


def check_argument(field: dataclasses.Field, value: Any, path: str) -> Any:
    """`value` as plain Python. Raises UserError if the field cannot have it."""
    value = as_plain(value)
    for condition in field.metadata["conditions"]:
        check(value, condition, path)
    return value


def check_method(method: Any) -> None:
    """Raises UserError unless it has a method's two functions, as `ILO()` has, or can
    be called, as baselines can."""
    if isinstance(method, type):
        name = method.__name__
        raise UserError(f"method: found the class {name}, expected {name}()")
    staged = hasattr(method, "stages") and hasattr(method, "start")
    if not staged and not callable(method):
        raise UserError(
            f"method: found {reprlib.repr(method)}, expected one such as ILO(), "
            "CSGM(), MGANPrior() or Surgery()"
        )
