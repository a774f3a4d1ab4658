"""Reads pickles as data, without importing or calling anything that they name.

A pickle names classes and functions, and asks to call them. Here each name stands for
something inert: a record of a tensor, a NumPy array, or a `Foreign` object, which only
holds what the pickle puts into it. So settings, paths and objects of any class may lie
beside the weights. A file is refused if it names something of Python's standard library
that is not plain data, such as `os.system` or `builtins.eval`.

A pickle may set attributes of any object that it receives. So it only receives objects
that are immutable, or that are discarded with it.
"""

import _compat_pickle
import builtins
import io
import math
import pickle
import sys
from collections.abc import Callable
from typing import Any

from rtil_jax.pickled_records import (
    DTYPES,
    STORAGES,
    Foreign,
    PickledArray,
    PickledDtype,
    Storage,
    Tensor,
    itemsize,
)

# Modules of Python's standard library whose objects are plain data.
_DATA_MODULES = frozenset(
    "argparse array collections dataclasses datetime decimal enum fractions functools "
    "ipaddress numbers pathlib random re time types typing uuid zoneinfo".split()
)


class ForbiddenReference(pickle.UnpicklingError):
    """A pickle asks for something that plain data does not need.

    Attributes:
        reference: its `module.name`.
    """

    def __init__(self, reference: str):
        super().__init__(f"a reference to {reference}")
        self.reference = reference


class _StandIn:
    """Stands for a function, because a pickle could set attributes of our functions."""

    __slots__ = ("_call",)
    _call: Callable

    def __init__(self, call: Callable):
        object.__setattr__(self, "_call", call)

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name} cannot be set")


class InertUnpickler(pickle.Unpickler):
    """Builds dicts, lists, numbers, strings and the records above, and nothing else.

    Attributes:
        foreign: names of classes and functions other than plain data of Python, NumPy
            and PyTorch, in the order of the file.
        storages: {key: storage}.
    """

    def __init__(self, file: io.BufferedIOBase):
        super().__init__(file)
        self.foreign: list[str] = []
        self.storages: dict[str, Storage] = {}
        functions: dict[str, Callable] = {
            "_codecs.encode": self._bytes,
            "builtins.getattr": self._attribute,
            "copyreg._reconstructor": self._object,
            "numpy.dtype": self._dtype,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_tensor_v3": self._typed_tensor,
            "torch._utils._rebuild_parameter": self._first,
            "torch._utils._rebuild_parameter_with_state": self._first,
            "torch._tensor._rebuild_from_type_v2": self._rebuilt,
        }
        for core in ("core", "_core"):  # before and since NumPy 2
            functions |= {
                f"numpy.{core}.multiarray._reconstruct": self._array,
                f"numpy.{core}.multiarray.scalar": self._scalar,
                f"numpy.{core}.numeric._frombuffer": self._whole_array,
            }
        self._stand_ins = {name: _StandIn(call) for name, call in functions.items()}

    def find_class(self, module: str, name: str) -> Any:
        # Protocol 2, which PyTorch uses, has Python 2's names.
        module = _compat_pickle.IMPORT_MAPPING.get(module, module)
        reference = f"{module}.{name}"
        if reference in self._stand_ins:
            return self._stand_ins[reference]
        package = reference.partition(".")[0]
        if package == "torch":
            kind = name.removesuffix("Storage")
            if kind != name and kind in STORAGES:
                return STORAGES[kind]
            if name in DTYPES:
                return name
        elif package == "builtins":
            if not isinstance(getattr(builtins, name, str), type):
                raise ForbiddenReference(reference)
        elif package in sys.stdlib_module_names and package not in _DATA_MODULES:
            raise ForbiddenReference(reference)
        return self._class(reference)

    def persistent_load(self, reference: Any) -> Any:
        """A storage: ("storage", type, key, device, size), in older files more."""
        if reference[0] == "module":  # a class with its source
            return reference[1]
        kind, dtype, key, _, size = reference[:5]
        if kind != "storage" or any(reference[5:]):
            raise ValueError("a reference to something other than a storage")
        dtype = dtype if isinstance(dtype, str) and dtype in DTYPES else ""
        storage = Storage(dtype, str(key), int(size))
        return self.storages.setdefault(storage.key, storage)

    def _class(self, reference: str) -> type[Foreign]:
        package = reference.partition(".")[0]
        plain = package in sys.stdlib_module_names or package in ("numpy", "torch")
        if not plain or reference.startswith("torch.nn."):
            self.foreign.append(reference)
        return type(reference, (Foreign,), {"__slots__": ()})

    def _attribute(self, owner: Any, name: str) -> Any:
        """A nested class, or a member of an enumeration."""
        if isinstance(owner, type) and issubclass(owner, Foreign):
            return self._class(f"{owner.__name__}.{name}")
        raise ForbiddenReference("builtins.getattr")

    @staticmethod
    def _bytes(text: str, encoding: str = "") -> bytes:
        """Makes bytes of text, as which protocol 2 writes them."""
        return text.encode("latin1")

    def _object(self, kind: Any, *_: Any) -> Foreign:
        known = isinstance(kind, type) and issubclass(kind, Foreign)
        return kind() if known else Foreign()

    @staticmethod
    def _first(value: Any, *_: Any) -> Any:
        return value

    @staticmethod
    def _rebuilt(function: Any, kind: Any, arguments: tuple, *_: Any) -> Any:
        """Rebuilds a subclass of `torch.Tensor`, as the pickle could by itself."""
        return function(*arguments)

    @staticmethod
    def _dtype(*arguments: Any) -> PickledDtype:
        return PickledDtype(*arguments)

    @staticmethod
    def _array(*_: Any) -> PickledArray:
        return PickledArray()

    @staticmethod
    def _whole_array(data: Any, dtype: Any, shape: tuple, order: str) -> PickledArray:
        array = PickledArray()
        array.fill(shape, dtype, order, bytes(data))
        return array

    @staticmethod
    def _scalar(dtype: Any, data: Any = None) -> Any:
        array = PickledArray()
        array.fill((), dtype, "C", data)
        return Foreign() if array.values is None else array.values.item()

    def _typed_tensor(self, *arguments: Any) -> Tensor:
        return self._tensor(*arguments[:6], dtype=arguments[6])

    @staticmethod
    def _tensor(
        storage: Any,
        offset: int,
        size: tuple[int, ...],
        stride: tuple[int, ...],
        *_: Any,
        dtype: str | None = None,
    ) -> Tensor:
        dtype = storage.dtype if dtype is None else dtype
        numbers = (offset, *size, *stride)
        if not (
            isinstance(storage, Storage)
            and all(isinstance(n, int) for n in numbers)
            and len(size) == len(stride)
        ):
            raise ValueError("a tensor of something other than numbers")
        steps = zip(size, stride, strict=True)
        last = offset + sum((length - 1) * step for length, step in steps)
        stored = storage.size * itemsize(storage.dtype) // itemsize(dtype)
        if min(numbers) < 0 or (0 not in size and last >= stored):
            raise ValueError(f"a tensor of shape {size} outside its storage")
        if math.prod(size) > max(storage.size, 2**24):
            raise ValueError(f"a tensor of shape {size} of only {storage.size} numbers")
        return Tensor(storage, dtype, offset, tuple(size), tuple(stride))
