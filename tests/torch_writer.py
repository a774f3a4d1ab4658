"""Files as `torch.save` writes them, without PyTorch: NumPy arrays become tensors."""

import collections
import contextlib
import io
import pickle
import sys
import types
import zipfile
from unittest import mock

import jax.numpy as jnp
import numpy as np

STORAGES = {
    "float32": "Float",
    "float64": "Double",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "int64": "Long",
    "uint8": "Byte",
    "bool": "Bool",
}
FLOAT8 = jnp.dtype("float8_e4m3fn")


def named(module, name, make=types.FunctionType):
    """Something that a pickle refers to as `module.name`."""
    thing = type(name, (), {}) if make is type else lambda *_: None
    thing.__module__, thing.__qualname__, thing.__name__ = module, name, name
    return thing


MODULES = {
    "torch._utils": [named("torch._utils", "_rebuild_tensor_v2")],
    "torch": [named("torch", f"{kind}Storage", type) for kind in STORAGES.values()],
}


@contextlib.contextmanager
def fake(modules=MODULES):
    """Modules with these things, so that pickle finds them."""
    made = {}
    for module, things in modules.items():
        made[module] = types.ModuleType(module)
        for thing in things:
            setattr(made[module], thing.__name__, thing)
    with mock.patch.dict(sys.modules, made):
        yield


class Storage:
    def __init__(self, array):
        self.array = array


class Pickler(pickle.Pickler):
    """Arrays as tensors, whose strides are kept; those that cannot be, as NumPy's."""

    def __init__(self, file, protocol=2):
        super().__init__(file, protocol)
        self.storages = []

    def reducer_override(self, thing):
        if type(thing) is not np.ndarray or thing.dtype.name not in STORAGES:
            return NotImplemented
        whole = thing if thing.base is None else thing.base
        whole = np.atleast_1d(whole)
        for known in self.storages:
            if known.array is whole:
                break
        else:
            known = Storage(whole)
            self.storages.append(known)
        steps = tuple(step // thing.itemsize for step in thing.strides)
        offset = (
            (thing.__array_interface__["data"][0])
            - (whole.__array_interface__["data"][0])
        )
        rebuild = MODULES["torch._utils"][0]
        hooks = collections.OrderedDict()
        arguments = offset // thing.itemsize, thing.shape, steps, False, hooks
        return rebuild, (known, *arguments)

    def persistent_id(self, thing):
        if not isinstance(thing, Storage):
            return None
        kind = STORAGES[thing.array.dtype.name]
        (storage,) = [t for t in MODULES["torch"] if t.__name__ == f"{kind}Storage"]
        key = str(self.storages.index(thing))
        return "storage", storage, key, "cpu", thing.array.size


def memory_of(array):
    """The bytes of an array that is whole, whatever its order."""
    return array.tobytes(order="A")


def torch_bytes(tree, zipped=True):
    """What `torch.save(tree, ...)` writes; the old format unless `zipped`."""
    body = io.BytesIO()
    with fake():
        pickler = Pickler(body)
        pickler.dump(tree)
    contents = [memory_of(storage.array) for storage in pickler.storages]
    file = io.BytesIO()
    if zipped:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", body.getvalue())
            archive.writestr("archive/byteorder", b"little")
            for key, content in enumerate(contents):
                archive.writestr(f"archive/data/{key}", content)
    else:
        system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
        for head in (0x1950A86A20F9469CFC6C, 1001, system):
            pickle.dump(head, file, 2)
        file.write(body.getvalue())
        pickle.dump([str(key) for key in range(len(contents))], file, 2)
        for storage, content in zip(pickler.storages, contents, strict=True):
            file.write(storage.array.size.to_bytes(8, "little") + content)
    return file.getvalue()
