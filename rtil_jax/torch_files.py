"""Reads the arrays in a file of PyTorch's `torch.save` without PyTorch.

Since PyTorch 1.6 such a file is a zip: `NAME/data.pkl` is a pickle whose tensors refer
to storages, and `NAME/data/KEY` has the bytes of a storage. Before, it was a stream:
four pickles, the keys of the storages, and their bytes. A plain pickle of NumPy arrays
can be read too. Nothing in these files is run (see `rtil_jax.inert_pickle`).
"""

import collections
import dataclasses
import io
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from rtil_jax.inert_pickle import InertUnpickler
from rtil_jax.pickled_records import (
    Foreign,
    PickledArray,
    Storage,
    Tensor,
    itemsize,
)

_MAGIC = 0x1950A86A20F9469CFC6C  # start of the stream
# A pickle can contain a list inside itself, or repeat lists exponentially often.
_MOST_VISITS, _DEEPEST = 8, 20
_OF_MODULES = ("_parameters", "_buffers", "_modules")


@dataclasses.dataclass(frozen=True)
class Saved:
    """The contents of a file.

    Attributes:
        arrays: tensors and arrays by dotted name: keys of dicts, places in lists.
        numbers: numbers that are entries of dicts, by dotted name.
        foreign: names of classes other than plain data of Python, NumPy and PyTorch;
            their objects were not built.
    """

    arrays: dict[str, np.ndarray]
    numbers: dict[str, float] = dataclasses.field(default_factory=dict)
    foreign: tuple[str, ...] = ()


def read_torch(file: io.BufferedIOBase) -> Saved:
    """Reads a file of `torch.save`, from its beginning.

    Raises:
        ForbiddenReference: if it asks for functions that plain data does not need.
        Exception: if it is damaged; the type depends on the damage.
    """
    start = file.read(4)
    file.seek(0)
    return _read_zip(file) if start == b"PK\x03\x04" else _read_stream(file)


def _read_zip(file: io.BufferedIOBase) -> Saved:
    with zipfile.ZipFile(file) as archive:
        names = [n for n in archive.namelist() if n.endswith("/data.pkl")]
        if len(names) != 1:
            raise ValueError(f"{len(names)} entries data.pkl, expected one")
        prefix = names[0].removesuffix("data.pkl")

        def read(name: str) -> bytes:
            entry = archive.getinfo(prefix + name)
            if entry.compress_type != zipfile.ZIP_STORED:  # it could be of any size
                raise ValueError(f"a compressed entry {name}")
            return archive.read(entry)

        in_file = archive.namelist()
        if prefix + "byteorder" in in_file and read("byteorder") != b"little":
            raise ValueError("big-endian numbers")
        unpickler = InertUnpickler(io.BytesIO(read("data.pkl")))
        tree = unpickler.load()
        return _saved(tree, unpickler, lambda storage: read(f"data/{storage.key}"))


def _read_stream(file: io.BufferedIOBase) -> Saved:
    unpickler = InertUnpickler(file)
    tree = unpickler.load()
    if tree != _MAGIC:
        return _saved(tree, unpickler, _no_storage)
    InertUnpickler(file).load()  # the protocol's version
    if InertUnpickler(file).load()["little_endian"] is not True:
        raise ValueError("big-endian numbers")
    unpickler = InertUnpickler(file)
    tree, contents = unpickler.load(), {}
    for key in InertUnpickler(file).load():
        storage = unpickler.storages[key]
        if int.from_bytes(file.read(8), "little") != storage.size:
            raise ValueError(f"another size than {storage.size} of storage {key}")
        contents[key] = file.read(storage.size * itemsize(storage.dtype))
    return _saved(tree, unpickler, lambda storage: contents[storage.key])


def _no_storage(storage: Storage) -> bytes:
    raise ValueError("a tensor without its storage")


def _saved(
    tree: Any, unpickler: InertUnpickler, read: Callable[[Storage], bytes]
) -> Saved:
    contents: dict[str, bytes] = {}  # many tensors may share a storage

    def array_of(tensor: Tensor) -> np.ndarray:
        key = tensor.storage.key
        if key not in contents:
            contents[key] = read(tensor.storage)
        return _view(tensor, contents[key])

    arrays, numbers = {}, {}
    for name, leaf in _leaves(tree):
        if isinstance(leaf, int | float):
            numbers[name] = float(leaf)
        elif isinstance(leaf, PickledArray):
            if leaf.values is not None:
                arrays[name] = leaf.values
        elif leaf.storage.dtype and leaf.dtype:
            arrays[name] = array_of(leaf)
    return Saved(arrays, numbers, tuple(dict.fromkeys(unpickler.foreign)))


def _view(tensor: Tensor, content: bytes) -> np.ndarray:
    storage = tensor.storage
    if len(content) != storage.size * itemsize(storage.dtype):
        raise ValueError(
            f"{len(content)} bytes in data/{storage.key}, expected {storage.size} "
            f"numbers of {storage.dtype}"
        )
    dtype = jnp.dtype(tensor.dtype)
    usable = len(content) // dtype.itemsize * dtype.itemsize
    whole = np.frombuffer(content[:usable], dtype.newbyteorder("<"))
    steps = tuple(step * dtype.itemsize for step in tensor.stride)
    return np.lib.stride_tricks.as_strided(
        whole[tensor.offset :], tensor.size, steps, writeable=False
    )


def _leaves(tree: Any) -> Iterator[tuple[str, Any]]:
    """Yields tensors and arrays in nested dicts and lists, in order, by dotted name.

    It also yields numbers that are entries of a dict.
    """
    stack: list[tuple[str, Any, int]] = [("", tree, 0)]
    visits: collections.Counter[int] = collections.Counter()
    while stack:
        name, node, depth = stack.pop()
        if isinstance(node, Tensor | PickledArray | float | int):
            yield name, node
            continue
        visits[id(node)] += 1
        if visits[id(node)] > _MOST_VISITS or depth == _DEEPEST:
            continue
        inside = [
            (f"{name}.{key}" if name else str(key), child, depth + 1)
            for key, child in _entries(node)
            if isinstance(child, dict | list | tuple | PickledArray)
            or (isinstance(node, dict) and _is_number(child))
        ]
        stack += reversed(inside)


def _is_number(x: Any) -> bool:
    return isinstance(x, float) or (isinstance(x, int) and abs(x) < 2**63)


def _entries(node: Any) -> list[tuple[Any, Any]]:
    if isinstance(node, Foreign) and _OF_MODULES[0] in node:  # a whole module
        groups = [node.get(group) for group in _OF_MODULES]
        return [x for g in groups if isinstance(g, dict) for x in dict.items(g)]
    if isinstance(node, dict):
        return [(k, x) for k, x in dict.items(node) if isinstance(k, str | int)]
    return list(enumerate(node)) if isinstance(node, list | tuple) else []
