"""Fields that people set: each with its default, its help and what holds for it.

A frozen dataclass whose fields are made by `field` is the one place where a setting is
described. Configs, checks and `--help` are made of it:

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
    """What holds for the values of a field.

    Attributes:
        holds: whether it holds for a value of the field's type. NaN passes none.
        expected: the same in words, as an error ends: "a number above 0".
    """

    holds: Callable[[Any], bool]
    expected: str


def at_least(least: int) -> Condition:
    return Condition(lambda value: value >= least, f"at least {least}")


def one_of(*known: Any) -> Condition:
    return Condition(lambda value: value in known, f"one of {known}")


def named(*known: str, or_none: bool = False) -> Condition:
    """One of some names, or '' where nothing may be named."""
    expected = f"one of {', '.join(known)}" + (", or '' for none" if or_none else "")
    names = ("", *known) if or_none else known
    return Condition(lambda value: value in names, expected)


ANY = Condition(lambda value: True, "")
POSITIVE = Condition(lambda value: 0 < value < math.inf, "a number above 0")
NOT_NEGATIVE = Condition(lambda value: 0 <= value < math.inf, "a number of at least 0")
FRACTION = Condition(lambda value: 0 <= value <= 1, "a number in [0, 1]")


def field(default: Any, help: str, condition: Condition = ANY) -> Any:
    """A field of a dataclass.

    Args:
        default: its value where nothing else is said; it tells the field's type, too.
            A dataclass, by its class, is a section.
        help: a sentence for people.
        condition: what else holds for its values.
    """
    about = {"help": help, "condition": condition}
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata=about)
    return dataclasses.field(default=default, metadata=about)


def checked(value: Any, default: Any, condition: Condition, path: str) -> Any:
    """`value` as Python's own, of the default's type.

    Lists become tuples, NumPy's numbers Python's, and whole numbers numbers.

    Args:
        value: what was found.
        default: a value of the right type.
        condition: what else holds.
        path: what to call the field in an error, such as `config.data.count`.

    Raises:
        UserError: if it has another type, or the condition does not hold.
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
    """Raises UserError, which calls it `path`, for a value that is not as it must be.

    A condition that cannot be evaluated does not hold.
    """
    try:
        holds = condition.holds(value)
    except TypeError:  # of an entry of a tuple, say
        holds = False
    if not holds:
        raise UserError(f"{path}: found {shown(value)}, expected {condition.expected}")


def shown(value: Any) -> str:
    """The value as Python writes it; only its ends if it is long."""
    text = repr(value)
    return text if len(text) <= 100 else reprlib.repr(value)


def as_plain(value: Any) -> Any:
    """A list as a tuple, and arrays and NumPy's numbers as Python's."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(map(as_plain, value)) if isinstance(value, list | tuple) else value
