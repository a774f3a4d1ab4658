"""Declares the settings of a run: each field with its default, help and check.

A frozen dataclass whose fields are declared by `field` is the only place that describes
a setting. Configs, checks and `--help` use it:

    @dataclasses.dataclass(frozen=True)
    class Data:
        count: int = field(0, "Images, in name order; 0 means all.", at_least(0))
"""

import dataclasses
import math
import reprlib
from collections.abc import Callable
from typing import Any, NamedTuple

from rtil_jax.errors import UserError

_KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}


class Condition(NamedTuple):
    """A condition that the values of a field must meet.

    Attributes:
        holds: tells whether a value of the field's type meets it. NaN must fail.
        expected: the condition in words, for the end of an error: "a number above 0".
    """

    holds: Callable[[Any], bool]
    expected: str


def at_least(least: int) -> Condition:
    return Condition(lambda value: value >= least, f"at least {least}")


def one_of(*known: Any) -> Condition:
    return Condition(lambda value: value in known, f"one of {known}")


def named(*known: str, or_none: bool = False) -> Condition:
    """Returns the condition that a value is one of some names, or '' if `or_none`."""
    expected = f"one of {', '.join(known)}" + (", or '' for none" if or_none else "")
    names = ("", *known) if or_none else known
    return Condition(lambda value: value in names, expected)


ANY = Condition(lambda value: True, "")
POSITIVE = Condition(lambda value: 0 < value < math.inf, "a number above 0")
NOT_NEGATIVE = Condition(lambda value: 0 <= value < math.inf, "a number of at least 0")
FRACTION = Condition(lambda value: 0 <= value <= 1, "a number in [0, 1]")


def field(default: Any, help: str, condition: Condition = ANY) -> Any:
    """Declares a field of a dataclass.

    Args:
        default: the default value, which also sets the type of the field. A class of
            dataclasses makes the field a section.
        help: a sentence for `--help`.
        condition: a condition besides the type.
    """
    about = {"help": help, "condition": condition}
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata=about)
    return dataclasses.field(default=default, metadata=about)


def checked(value: Any, default: Any, condition: Condition, path: str) -> Any:
    """Checks a value and returns it as a plain Python value of the default's type.

    Lists become tuples, NumPy numbers become Python numbers, and whole numbers become
    floats if the field has floats.

    Args:
        value: what was found.
        default: a value of the right type.
        condition: a condition besides the type.
        path: the name of the field in an error, such as `config.data.count`.

    Raises:
        UserError: if the value has another type, or fails the condition.
    """
    plain = as_plain(value)
    kind = type(default)
    if kind is float and type(plain) is int:
        plain = float(plain)
    expected = condition.expected or _KINDS.get(kind, f"a {kind.__name__}")
    if type(plain) is not kind:
        raise UserError(f"{path}: found {shown(value)}, expected {expected}")
    check(plain, condition, path)
    return plain


def check(value: Any, condition: Condition, path: str) -> None:
    """Raises UserError if a value fails a condition, or the condition cannot be tested.

    Args:
        value: what was found.
        condition: the condition.
        path: the name of the field in the error.
    """
    try:
        holds = condition.holds(value)
    except TypeError:  # such as from an entry of a tuple
        holds = False
    if not holds:
        raise UserError(f"{path}: found {shown(value)}, expected {condition.expected}")


def shown(value: Any) -> str:
    """Returns a value as Python writes it; only its ends if it is long."""
    text = repr(value)
    return text if len(text) <= 100 else reprlib.repr(value)


def as_plain(value: Any) -> Any:
    """Converts lists to tuples, and arrays and NumPy numbers to Python values."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(map(as_plain, value)) if isinstance(value, list | tuple) else value
