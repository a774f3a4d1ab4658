"""Records that stand for the objects of a pickle that is read as data.

See `inert_pickle`.
"""

import re
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

STORAGES = {
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
    "QInt8": "int8",
    "QUInt8": "uint8",
    "QInt32": "int32",
    "Untyped": "uint8",
}
# `torch.float32`, ..., NumPy's of the same name. (Those of float8 come with JAX.)
DTYPES = frozenset(STORAGES.values()) | {
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "uint16",
    "uint32",
    "uint64",
}
_NUMBERS = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|c8|c16|\?)")


class Storage(NamedTuple):
    """Numbers stored outside the pickle; `dtype` is "" if they cannot be read."""

    dtype: str
    key: str
    size: int


class Tensor(NamedTuple):
    """A view of a storage: offset and strides count numbers inside it."""

    storage: Storage
    dtype: str
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class Foreign(dict):
    """An object of any other class; its items and attributes become items of a dict."""

    __slots__ = ()
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__
    __ne__ = object.__ne__

    def __init__(self, *_: Any, **__: Any):
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        # With slots, a state is a pair.
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.update(part)

    def append(self, item: Any) -> None:
        self[len(self)] = item

    def extend(self, items: Any) -> None:
        for item in items:
            self.append(item)

    def add(self, item: Any) -> None:
        """Does nothing, because sets are not needed."""


class PickledArray:
    """Stands for a NumPy array; `values` is None for an array of objects."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: np.ndarray | None = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, column_major, data = state
        self.fill(shape, dtype, "F" if column_major else "C", data)

    def fill(self, shape: tuple, dtype: Any, order: Any, data: Any) -> None:
        """Sets the values, as unpickling a NumPy array does.

        Args:
            shape: the shape of the array.
            dtype: a `PickledDtype`; others leave `values` None.
            order: "C", or "F" for column-major order.
            data: the bytes of the numbers.
        """
        if isinstance(dtype, PickledDtype) and dtype.name and isinstance(data, bytes):
            self.values = np.frombuffer(data, dtype.name).reshape(shape, order=order)


class PickledDtype:
    """Stands for a NumPy dtype; `name` is "" if it is not numeric."""

    __slots__ = ("name",)

    def __init__(self, name: Any, *_: Any):
        known = isinstance(name, str) and _NUMBERS.fullmatch(name)
        self.name = name if known else ""

    def __setstate__(self, state: tuple) -> None:
        if self.name and state[1] in ("<", ">"):
            self.name = state[1] + self.name.lstrip("<>=|")


def itemsize(dtype: str) -> int:
    """Returns the bytes of a number; 1 for a type that cannot be read."""
    return jnp.dtype(dtype).itemsize if dtype in DTYPES else 1
