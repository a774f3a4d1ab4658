"""The arrays in a file of PyTorch's `torch.save`, read without PyTorch.

Such a file is a zip (since PyTorch 1.6). `NAME/data.pkl` is a pickle whose tensors name
storages, and `NAME/data/KEY` is the bytes of one. Nothing in the pickle is executed: it
may refer to tensors, storages and ordered dicts, and to nothing else.
"""

import collections
import io
import math
import pickle
import zipfile
from typing import Any

import numpy as np

_STORAGES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


def read_torch_zip(content: bytes) -> Any:
    """What was saved, with NumPy arrays for tensors.

    Raises:
        Exception: if `content` is damaged or refers to anything but tensors; which one
            depends on the damage.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [n for n in archive.namelist() if n.endswith("/data.pkl")]
        if len(names) != 1:
            raise ValueError(f"{len(names)} entries data.pkl, expected one")
        return _Unpickler(archive, names[0].removesuffix("data.pkl")).load()


class _Unpickler(pickle.Unpickler):
    """Restricted to what `torch.save` writes for dicts of contiguous tensors.

    What it hands to the pickle is immutable, or is dropped with it: a pickle may set
    attributes of whatever it is given.
    """

    def __init__(self, archive: zipfile.ZipFile, prefix: str):
        self._archive, self._prefix = archive, prefix
        self._storages: dict[str, bytes] = {}
        if self._read("byteorder", missing=b"little") != b"little":
            raise ValueError("big-endian numbers")
        super().__init__(io.BytesIO(self._read("data.pkl")))

    def _read(self, name: str, missing: bytes | None = None) -> bytes:
        if missing is not None and self._prefix + name not in self._archive.namelist():
            return missing
        entry = self._archive.getinfo(self._prefix + name)
        if entry.compress_type != zipfile.ZIP_STORED:  # it could be of any size
            raise ValueError(f"a compressed entry {name}")
        return self._archive.read(entry)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._tensor
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"a reference to {module}.{name}")

    def persistent_load(self, reference: Any) -> np.ndarray:
        """The storage ("storage", type, key, device, size)."""
        kind, dtype, key, _, size = reference
        if kind != "storage" or dtype not in _STORAGES.values():
            raise ValueError("a reference to something other than a storage")
        if key not in self._storages:  # many tensors may share one
            self._storages[key] = self._read(f"data/{key}")
        storage = np.frombuffer(self._storages[key], dtype)
        if storage.size != size:
            raise ValueError(f"{storage.size} numbers in data/{key}, expected {size}")
        return storage

    @staticmethod
    def _check_contiguous(size: tuple, stride: tuple) -> None:
        """Raises ValueError unless the tensor's numbers lie in row-major order."""
        expected = 1
        for length, step in zip(reversed(size), reversed(stride), strict=True):
            if length != 1 and step != expected:
                raise ValueError(f"a tensor of shape {size} with strides {stride}")
            expected *= length

    def _tensor(
        self, storage: Any, offset: int, size: tuple, stride: tuple, *_: Any
    ) -> np.ndarray:
        """Stands in for `torch._utils._rebuild_tensor_v2`."""
        self._check_contiguous(size, stride)
        end = offset + math.prod(size)
        if not (isinstance(storage, np.ndarray) and 0 <= offset <= end <= storage.size):
            raise ValueError(f"a tensor of shape {size} outside its storage")
        return storage[offset:end].reshape(size)
