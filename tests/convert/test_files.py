"""Files as PyTorch and safetensors write them, with anything beside the weights."""

import argparse
import collections
import datetime
import decimal
import enum
import functools
import io
import json
import os
import pathlib
import pickle
import subprocess
import sys
import types

import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.convert import files
from rtil_jax.convert.wrappers import find_networks
from rtil_jax.errors import UserError
from rtil_jax.torch_files import read_torch
from tests.convert import checkpoints
from tests.test_dcgan_faces import number, reference, short
from tests.torch_writer import fake, named, torch_bytes

NETWORK = checkpoints.stylegan2((4, 3))


class Settings(dict):
    """A dict of a user's own class, as yacs and EasyDict have."""

    __getattr__ = dict.__getitem__

    def __setstate__(self, state):
        raise SystemExit("run")


class Phase(enum.Enum):
    GROWING = 1


@functools.total_ordering
class Slots:
    __slots__ = ("size",)

    def __lt__(self, other):
        return False


def slots():
    thing = Slots()
    thing.size = 3
    return thing


BESIDE = {
    "NumPy scalars": [np.float32(0.5), np.int64(3), np.bool_(True), np.float16(2)],
    "a NumPy string": np.str_("text"),
    "NumPy types": [np.dtype("float32"), np.float32, np.dtype("U3")],
    "paths": [pathlib.Path("a/b"), pathlib.PureWindowsPath("C:\\a")],
    "sets": [{1, 2}, frozenset("a"), range(3), slice(1), 1j, b"bytes", bytearray(b"b")],
    "containers": [collections.defaultdict(list, a=[1]), collections.deque([1])],
    "counters": collections.Counter("abc"),
    "dates": [datetime.datetime(2020, 1, 2), datetime.timedelta(1), decimal.Decimal(1)],
    "namespaces": [argparse.Namespace(path=pathlib.Path("a")), types.SimpleNamespace()],
    "types": [float, int, type(None)],
    "numbers": [2**70, -1, 0.5, float("nan"), None, True],
    "objects": [Settings(size=3), Phase.GROWING, slots(), functools.partial(int, "1")],
    "a random state": np.random.RandomState(0).get_state(),
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
@pytest.mark.parametrize("what", BESIDE)
def test_anything_harmless_may_lie_beside_the_weights(what, zipped, tmp_path):
    tree = {"args": BESIDE[what], "g_ema": NETWORK, "opts": {"x": BESIDE[what]}}
    (tmp_path / "a.pt").write_bytes(torch_bytes(tree, zipped))
    found = find_networks(files.read(str(tmp_path / "a.pt")))
    assert found.origins == {"g_ema": "g_ema"}
    for name, tensor in NETWORK.items():
        np.testing.assert_array_equal(found.parts["g_ema"][name], tensor)


def test_numpy_scalars_are_numbers():
    tree = {"step": np.int64(3), "nets": {"alpha": np.float32(0.5)}, "x": np.uint8(9)}
    saved = read_torch(io.BytesIO(torch_bytes(tree)))
    assert saved.numbers == {"step": 3, "nets.alpha": 0.5, "x": 9}


@pytest.mark.parametrize("protocol", range(6))
def test_a_bare_pickle_of_arrays_is_read(protocol):
    network = {key: np.asfortranarray(x) for key, x in NETWORK.items()}
    network["convs.0.noise.weight"] = network["convs.0.noise.weight"].astype(">f4")
    content = pickle.dumps({"g_ema": network}, protocol)
    found = find_networks(read_torch(io.BytesIO(content)))
    for name, tensor in NETWORK.items():
        np.testing.assert_array_equal(found.parts["g_ema"][name], tensor)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
def test_tensors_of_every_kind_and_stride(zipped):
    whole = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    tree = {
        "whole": whole,
        "transposed": whole.transpose(2, 0, 1),
        "part": whole[1, :, 1:3],
        "empty": np.zeros((0, 3), np.float32),
        "scalar": np.array(7),
        "half": np.float16([1, 2]),
        "brain": np.arange(3).astype(jnp.bfloat16),
        "double": np.array([0.1]),
        "bits": np.array([True, False]),
    }
    found = read_torch(io.BytesIO(torch_bytes(tree, zipped))).arrays
    assert list(found) == list(tree)
    for name, array in tree.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_a_whole_module_is_read_by_its_tensors():
    """What `torch.save(module, ...)` keeps: dicts of parameters, buffers, modules."""
    module = named("their.model", "Generator", type)

    def built(tree):
        made = module()
        tensors = {k: x for k, x in tree.items() if isinstance(x, np.ndarray)}
        modules = {k: built(x) for k, x in tree.items() if isinstance(x, dict)}
        made._parameters, made._buffers, made._modules = tensors, {}, modules
        made.training, made.cache = False, np.ones(3)
        return made

    tree = {}
    for name, tensor in NETWORK.items():
        *path, last = name.split(".")
        functools.reduce(lambda t, key: t.setdefault(key, {}), path, tree)[last] = (
            tensor
        )
    with fake({"their": [], "their.model": [module]}):
        content = torch_bytes({"g_ema": built(tree)})
    found = find_networks(read_torch(io.BytesIO(content)))
    for name, tensor in NETWORK.items():
        np.testing.assert_array_equal(found.parts["g_ema"][name], tensor)


class Call:
    """What is pickled as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call

    def __call__(self):
        """Only so that pickle takes it for a function."""


def hostile(proof):
    """Things that would make the file `proof`, by name."""
    command, code = f"touch {proof}", f"open({str(proof)!r}, 'w')"
    return {
        "os.system": Call(os.system, command),
        "eval": Call(eval, code),
        "exec": Call(exec, code),
        "open": Call(open, str(proof), "w"),
        "Popen": Call(subprocess.Popen, ["touch", str(proof)]),
        "import": Call(__import__, "os"),
        "getattr": Call(Call(getattr, Call(__import__, "os"), "system"), command),
        "getattr of a class": Call(Call(getattr, pathlib.Path, "touch"), proof),
        "partial": Call(functools.partial(os.system, command)),
        "nested": Settings(a=[pathlib.Path("a"), {"b": Call(os.system, command)}]),
        "argument": Call(datetime.timedelta, Call(os.system, command)),
        "namespace": argparse.Namespace(a=Call(os.system, command)),
        "state": Call(os.mkdir, str(proof)),
    }


@pytest.mark.parametrize("kind", ["zip", "stream", "bare"])
@pytest.mark.parametrize("name", hostile(""))
def test_nothing_is_run(name, kind, tmp_path):
    proof, path = tmp_path / "proof", tmp_path / "a.pt"
    tree = {"g_ema": NETWORK, "args": hostile(proof)[name]}
    bare = kind == "bare"
    path.write_bytes(pickle.dumps(tree) if bare else torch_bytes(tree, kind == "zip"))
    try:
        find_networks(files.read(str(path)))
    except UserError as error:
        assert "\n" not in str(error) and "nothing in it was run" in str(error)
        refused = True
    else:
        refused = False
    assert not proof.exists()
    assert refused == (name != "getattr of a class")  # that one is inert


def test_the_hostile_ones_would_run(tmp_path):
    for name in ("os.system", "eval", "partial", "state"):
        proof = tmp_path / name
        pickle.loads(pickle.dumps(hostile(proof)[name]))
        assert proof.exists()


def test_a_function_of_a_foreign_module_is_not_run(tmp_path):
    function = named("their.tools", "make")
    content = {"their": [], "their.tools": [function]}
    with fake(content):
        data = torch_bytes({"g_ema": NETWORK, "x": Call(function, 1)})
        function.__code__ = (lambda *_: sys.exit("ran")).__code__
        saved = read_torch(io.BytesIO(data))
    assert saved.foreign == ("their.tools.make",)


@pytest.mark.parametrize(
    "thing",
    [
        ("torch._utils", "_rebuild_tensor_v2"),
        ("numpy", "dtype"),
        ("collections", "OrderedDict"),
        ("their", "Class"),
        ("torch", "FloatStorage"),
    ],
)
def test_a_pickle_cannot_change_what_it_is_given(thing):
    """Its state is set on the function or class itself, not on an object of it."""
    state = b"}" + short("__call__") + number(1) + b"s"
    for given in (state, b"(N" + state + b"t"):
        with pytest.raises((AttributeError, TypeError)):
            read_torch(io.BytesIO(b"\x80\x02" + reference(*thing) + given + b"b."))
    assert read_torch(io.BytesIO(torch_bytes({"x": np.ones(2)}))).arrays.keys() == {"x"}


def test_nesting_without_end_comes_to_an_end():
    loop, twice = {"x": np.ones(2)}, [np.ones(2)]
    loop["again"] = loop
    for _ in range(60):
        twice = [twice, twice]
    arrays = read_torch(io.BytesIO(pickle.dumps(loop))).arrays
    assert list(arrays)[:2] == ["x", "again.x"] and len(arrays) == 8
    read_torch(io.BytesIO(pickle.dumps(twice)))


@pytest.mark.parametrize("name", ["_reconstruct_persistent_obj", "persistent_class"])
def test_nvidias_pickles_are_named_with_what_to_do(name, tmp_path):
    function = named("torch_utils.persistence", name)
    with fake({"torch_utils": [], "torch_utils.persistence": [function]}):
        content = pickle.dumps({"G_ema": Call(function, {"module_src": "..."})})
    (tmp_path / "a.pkl").write_bytes(content)
    expected = (
        "torch_utils.persistence.*by running source.*; nothing in it was run; write it "
        "in rosinality's layout with `python export_weights.py"
    )
    with pytest.raises(UserError, match=expected):
        find_networks(files.read(str(tmp_path / "a.pkl")))


# safetensors

NAMES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}


def safetensors_bytes(tensors, dtype, **header):
    """The file of tensors of this dtype."""
    content = b""
    for name, array in tensors.items():
        part = array.astype(jnp.dtype(dtype)).tobytes()
        place = [len(content), len(content) + len(part)]
        header[name] = {
            "dtype": NAMES.get(dtype, dtype),
            "shape": array.shape,
            "data_offsets": place,
        }
        content += part
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + content


@pytest.mark.parametrize("dtype", NAMES)
def test_safetensors_of_every_float(dtype, tmp_path):
    path = tmp_path / "a.safetensors"
    tensors = {f"params_ema.{key}": x for key, x in NETWORK.items()}
    path.write_bytes(safetensors_bytes(tensors, dtype, __metadata__={"format": "pt"}))
    found = find_networks(files.read(str(path)))
    assert found.origins == {"g_ema": "params_ema"}
    for name, tensor in NETWORK.items():
        array = found.parts["g_ema"][name]
        expected = tensor.astype(jnp.dtype(dtype)).astype(np.float32)
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, expected)


def test_the_content_says_what_a_file_is(tmp_path):
    safe, torch = safetensors_bytes(NETWORK, "float32"), torch_bytes(NETWORK)
    for name, content in ("pytorch_model.bin", safe), ("a.safetensors", torch):
        (tmp_path / name).write_bytes(content)
        assert files.read(str(tmp_path / name)).arrays.keys() == NETWORK.keys()


@pytest.mark.parametrize(
    "content, what",
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"\n<!DOCTYPE html><html>quota exceeded", "a web page"),
    ],
)
def test_files_that_stand_for_a_checkpoint_are_named(content, what, tmp_path):
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(UserError, match=f"a.pt: found {what}, expected"):
        files.read(str(tmp_path / "a.pt"))


def test_damaged_safetensors_are_refused_in_one_line(tmp_path):
    path = tmp_path / "a.safetensors"
    whole = safetensors_bytes(NETWORK, "bfloat16")
    unknown = whole.replace(b'"BF16"', b'"F4"  ', 1)
    huge = (2**60).to_bytes(8, "little") + whole[8:]
    for content in (b"", whole[:4], whole[:100], whole[:-2], unknown, huge, b"x" * 99):
        path.write_bytes(content)
        with pytest.raises(UserError, match="damaged or foreign.*expected safete") as e:
            files.read(str(path))
        assert "\n" not in str(e.value)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
def test_truncated_files_of_pytorch_are_refused_in_one_line(zipped, tmp_path):
    whole = torch_bytes({"g_ema": NETWORK}, zipped)
    for share in (0.0, 0.01, 0.5, 0.99):
        (tmp_path / "a.pt").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(UserError, match="truncated, damaged or foreign") as error:
            files.read(str(tmp_path / "a.pt"))
        assert "\n" not in str(error.value)
