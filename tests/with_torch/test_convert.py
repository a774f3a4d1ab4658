"""Converted checkpoints against PyTorch, and files that PyTorch wrote.

Needs `pip install ".[torch,safetensors]"`, which the suite does not:

    python -m pytest tests/with_torch/test_convert.py -s

The networks are written with PyTorch's own operations, the way the public code uses
them: a grouped convolution for the kernels of a batch, `conv_transpose2d` to double
the size, a depthwise FIR filter, `interpolate`.
"""

import argparse
import math
import os
import pickle
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.convert import convert, fixed_noises
from rtil_jax.convert.files import read
from rtil_jax.convert.wrappers import find_networks
from rtil_jax.discriminators import PGGANDiscriminator, StyleGAN2Discriminator
from rtil_jax.errors import UserError
from rtil_jax.generators.configured import network_fields
from rtil_jax.priors.prior import load_prior
from tests.convert import checkpoints
from tests.convert.parity import BATCH, check_parity, converted, our_scores

torch = pytest.importorskip("torch")
functional = torch.nn.functional
pytest.importorskip("safetensors")

FIR = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64
ROOT2 = math.sqrt(2)


def tensors(tree):
    """NumPy arrays in nested dicts as tensors."""
    if isinstance(tree, dict):
        return {key: tensors(value) for key, value in tree.items()}
    return torch.from_numpy(np.array(tree)) if isinstance(tree, np.ndarray) else tree


# StyleGAN2


def fir(x, before, after, up=1, gain=1.0):
    batch, channels, height, width = x.shape
    if up == 2:
        longer = x.new_zeros(batch, channels, 2 * height, 2 * width)
        longer[:, :, ::2, ::2] = x
        x = longer
    x = functional.pad(x, (before, after, before, after))
    kernel = (gain * FIR)[None, None].repeat(channels, 1, 1, 1)
    return functional.conv2d(x, kernel, groups=channels)


def modulated(state, key, x, style, up=False, demodulate=True):
    batch, channels, height, width = x.shape
    weight = state[f"{key}.weight"]
    _, out, fan_in, side, _ = weight.shape
    scale = style @ state[f"{key}.modulation.weight"].T / math.sqrt(style.shape[1])
    scale = (scale + state[f"{key}.modulation.bias"]).view(batch, 1, channels, 1, 1)
    weight = weight / math.sqrt(fan_in * side**2) * scale
    if demodulate:
        power = weight.pow(2).sum((2, 3, 4), keepdim=True)
        weight = weight * torch.rsqrt(power + 1e-8)
    x = x.reshape(1, batch * channels, height, width)
    if not up:
        weight = weight.reshape(batch * out, fan_in, side, side)
        y = functional.conv2d(x, weight, padding=side // 2, groups=batch)
        return y.view(batch, out, height, width)
    weight = weight.transpose(1, 2).reshape(batch * fan_in, out, side, side)
    y = functional.conv_transpose2d(x, weight, stride=2, groups=batch)
    return fir(y.view(batch, out, 2 * height + 1, 2 * width + 1), 1, 1, gain=4)


def stylegan2(state, latents, perturb):
    styles, noises = latents["styles"], latents["noises"]
    layer, features, image = 0, [], None
    x = state["input.input"].repeat(len(styles), 1, 1, 1)

    def styled(key, x, up=False):
        nonlocal layer
        x = modulated(state, f"{key}.conv", x, styles[:, layer], up)
        x = x + state[f"{key}.noise.weight"] * noises[layer]
        layer += 1
        bias = state[f"{key}.activate.bias"].view(1, -1, 1, 1)
        return functional.leaky_relu(x + bias, 0.2) * ROOT2

    for block in range(1, styles.shape[1] // 2 + 1):
        rgb = "to_rgb1" if block == 1 else f"to_rgbs.{block - 2}"
        if block == 1:
            x = styled("conv1", x)
        else:
            x = styled(f"convs.{2 * block - 4}", x, up=True)
            x = styled(f"convs.{2 * block - 3}", x)
        features.append(x)
        x = x + perturb.get(block, 0.0)
        style = styles[:, 2 * block - 1]
        new = modulated(state, f"{rgb}.conv", x, style, demodulate=False)
        new = new + state[f"{rgb}.bias"]
        image = new if image is None else new + fir(image, 2, 1, up=2, gain=4)
    return features, image


def mapping(state, z):
    w = z * torch.rsqrt(z.pow(2).mean(1, keepdim=True) + 1e-8)
    for layer in range(1, sum(key.startswith("style.") for key in state) // 2 + 1):
        weight, bias = state[f"style.{layer}.weight"], state[f"style.{layer}.bias"]
        scale = 0.01 / math.sqrt(weight.shape[1])
        w = functional.linear(w, weight * scale, bias * 0.01)
        w = functional.leaky_relu(w, 0.2) * ROOT2
    return w


def with_stddev(x):
    deviation = torch.sqrt(x.var(0, unbiased=False) + 1e-8).mean()
    return torch.cat([x, deviation.expand_as(x[:, :1])], 1)


def stylegan2_discriminator(state, x):
    def conv(key, x, index=0, bias=True, **fields):
        weight = state[f"{key}.{index}.weight"]
        weight = weight / math.sqrt(weight[0].numel())
        if not bias:
            return functional.conv2d(x, weight, **fields)
        bias = state[f"{key}.{index + 1}.bias"]
        y = functional.conv2d(x, weight, bias, **fields)
        return functional.leaky_relu(y, 0.2) * ROOT2

    x, block = conv("convs.0", x), 1
    while f"convs.{block}.skip.1.weight" in state:
        key = f"convs.{block}"
        y = conv(f"{key}.conv1", x, padding=1)
        y = conv(f"{key}.conv2", fir(y, 2, 2), index=1, stride=2)
        skip = conv(f"{key}.skip", fir(x, 1, 1), index=1, stride=2, bias=False)
        x, block = (y + skip) / ROOT2, block + 1
    x = conv("final_conv", with_stddev(x), padding=1).flatten(1)
    for layer in (0, 1):
        weight = state[f"final_linear.{layer}.weight"]
        weight = weight / math.sqrt(weight.shape[1])
        x = functional.linear(x, weight, state[f"final_linear.{layer}.bias"])
        x = x if layer else functional.leaky_relu(x, 0.2) * ROOT2
    return x[:, 0]


# PGGAN


def normalise(x):
    return x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-8)


def equalized(state, key, x, padding=0, transposed=False):
    weight, bias = state[f"{key}.weight_orig"], state[f"{key}.bias"]
    weight = weight * math.sqrt(2 / weight[0].numel())
    if transposed:
        return functional.conv_transpose2d(x, weight, bias)
    return functional.conv2d(x, weight, bias, padding=padding)


def activate(x):
    return functional.leaky_relu(normalise(x), 0.2)


def pggan(state, latents, perturb):
    features, size = [], 4
    x = latents["z"][:, :, None, None]
    x = activate(equalized(state, "input_layer.0.conv", x, transposed=True))
    while f"progression_{size}.conv.0.conv.bias" in state:
        if size > 4:
            x = functional.interpolate(x, scale_factor=2, mode="bilinear")
        for layer in (0, 3):
            key = f"progression_{size}.conv.{layer}.conv"
            x = activate(equalized(state, key, x, padding=1))
        features.append(x)
        x = x + perturb.get(len(features), 0.0)
        size *= 2
    return features, equalized(state, f"to_rgb_{size // 2}.conv", x)


def pggan_discriminator(state, x):
    block, x = 0, equalized(state, "from_rgb.0.conv", x)
    while x.shape[2] > 1:
        last = x.shape[2] == 4
        key = f"progression.{block}.conv"
        x = with_stddev(x) if last else x
        x = activate(equalized(state, f"{key}.0.conv", x, padding=1))
        x = activate(equalized(state, f"{key}.3.conv", x, padding=0 if last else 1))
        if not last:
            x = functional.interpolate(x, scale_factor=0.5, mode="bilinear")
        block += 1
    weight = state["linear.linear.weight_orig"]
    weight = weight * math.sqrt(2 / weight.shape[1])
    return functional.linear(x.flatten(1), weight, state["linear.linear.bias"])[:, 0]


def official_pggan(state, latents, perturb):
    features, x = [], latents["z"][:, :, None, None]

    def layer(key, x, padding, gain=ROOT2):
        weight = state[f"{key}.conv.weight"]
        y = functional.conv2d(x, weight, padding=padding)
        y = y * (gain / math.sqrt(weight[0].numel()))
        return y + state[f"{key}.wscale.bias"].view(1, -1, 1, 1)

    block = 0
    while f"output{block}.conv.weight" in state:
        x = normalise(x)
        if block:
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
        x = layer(f"layer{2 * block}", x, padding=1 if block else 3)
        x = functional.leaky_relu(x, 0.2)
        x = layer(f"layer{2 * block + 1}", normalise(x), padding=1)
        x = functional.leaky_relu(x, 0.2)
        features.append(x)
        block += 1
        x = x + perturb.get(block, 0.0)
    return features, layer(f"output{block - 1}", normalise(x), 0, gain=1.0)


NETWORKS = {"stylegan2": stylegan2, "pggan": pggan, "official_pggan": official_pggan}


def parity(name, widths, **fields):
    """The worst error over features, cuts and perturbations; also printed."""
    state = getattr(checkpoints, name)(widths, **fields)
    theirs = tensors(state)

    def reference(latents, perturb):
        with torch.inference_mode():
            moved = {
                key: tuple(map(torch.from_numpy, value))
                if isinstance(value, tuple)
                else torch.from_numpy(np.ascontiguousarray(value))
                for key, value in latents.items()
            }
            features, image = NETWORKS[name](theirs, moved, tensors(perturb))
        return [x.numpy() for x in features], image.numpy()

    worst = check_parity({"g_ema": state}, reference)
    print(f"\n{name} {widths} {fields}: {worst:.1e}")
    return worst


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    "widths, fields",
    [
        ((24, 24, 20, 10), {}),
        ((16, 33, 9), {"channels": 1, "latent_dim": 40}),
        ((12, 12), {"latent_dim": 512}),
        ((8, 8, 6, 5, 4), {"channels": 1}),
    ],
)
def test_images_of_any_size(name, widths, fields):
    parity(name, widths, **fields)


@pytest.mark.parametrize(
    "name, kind",
    [
        ("stylegan2", "rtil"),
        ("stylegan2", "2"),
        ("pggan", "pggan"),
        ("official_pggan", "official"),
    ],
)
def test_images_of_the_public_networks_at_256_pixels(name, kind):
    fields = {"mapping_layers": 8} if name == "stylegan2" else {}
    widths = checkpoints.public_widths(kind, 256)
    parity(name, widths, latent_dim=512, **fields)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "name, network, score",
    [
        ("stylegan2", StyleGAN2Discriminator, stylegan2_discriminator),
        ("pggan", PGGANDiscriminator, pggan_discriminator),
    ],
)
def test_scores(name, network, score, channels):
    widths = (24, 20, 10, 7)
    g = getattr(checkpoints, name)(widths, channels)
    d = getattr(checkpoints, f"{name}_discriminator")(widths, channels)
    found = converted({"g": g, "d": d})
    images = np.random.default_rng(0).standard_normal((BATCH, channels, 32, 32))
    images = images.astype(np.float32)
    expected = score(tensors(d), torch.from_numpy(images)).numpy()
    discriminator = network(**network_fields(found.config.discriminator))
    scores = our_scores(found, images, discriminator)
    np.testing.assert_allclose(
        scores, expected, rtol=0, atol=1e-4 * np.abs(expected).max()
    )


# Files


WIDTHS = (12, 10, 6)


def public_files():
    def prefixed(state):
        return {f"module.{key}": tensor for key, tensor in state.items()}

    flags = argparse.Namespace(size=16, lr=0.002, z_number=[10, 20], ckpt=None)
    style_d = checkpoints.stylegan2_discriminator(WIDTHS)
    optimizer = {"state": {0: {"step": 3}}, "param_groups": [{"lr": 0.002}]}
    return {
        "rosinality": {
            "g_ema": checkpoints.stylegan2(WIDTHS, latent_dim=512, mapping_layers=8),
            "latent_avg": np.ones(512, np.float32),
        },
        "rtil": {
            "g": prefixed(checkpoints.stylegan2(WIDTHS, seed=7)),
            "d": prefixed(style_d),
            "g_ema": prefixed(checkpoints.stylegan2(WIDTHS)),
            "g_optim": optimizer,
            "args": flags,
            "ada_aug_p": 0.0,
        },
        "rtil_pggan": {
            "g": checkpoints.pggan(WIDTHS, seed=7),
            "d": checkpoints.pggan_discriminator(WIDTHS),
            "g_ema": checkpoints.pggan(WIDTHS),
            "g_optimizer": optimizer,
            "alpha": 1,
            "step": 2,
            "iteration": 100,
            "args": flags,
        },
        "official": checkpoints.official_pggan(WIDTHS),
    }


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("name", public_files())
def test_files_there_and_back(name, suffix, tmp_path):
    source, directory = str(tmp_path / "source.pt"), str(tmp_path / "prior")
    torch.save(tensors(public_files()[name]), source)
    convert(source, directory)
    load_prior(directory)
    out = str(tmp_path / "out") + suffix
    convert(directory, out)
    before, after = (find_networks(read(path)) for path in (source, out))
    assert (before.flat, before.prefixed) == (after.flat, after.prefixed)
    for part, state in before.parts.items():
        assert state.keys() == after.parts[part].keys()
        for key, tensor in state.items():
            assert tensor.tobytes() == after.parts[part][key].tobytes()
            assert tensor.shape == after.parts[part][key].shape
    assert before.tensors.keys() == after.tensors.keys()
    # ... and what was written can be converted too.
    convert(out, str(tmp_path / "again"))


def test_the_old_file_format(tmp_path):
    source = str(tmp_path / "source.pth")
    tree = tensors(public_files()["official"])
    torch.save(tree, source, _use_new_zipfile_serialization=False)
    convert(source, str(tmp_path / "prior"))
    assert load_prior(str(tmp_path / "prior")).generator.layout == "official"


def test_pytorchs_image_with_its_fixed_noise(tmp_path):
    """z to image through files: what a user of either library sees."""
    state = public_files()["rosinality"]["g_ema"]
    torch.save({"g_ema": tensors(state)}, tmp_path / "source.pt")
    convert(str(tmp_path / "source.pt"), str(tmp_path / "prior"))
    prior = load_prior(str(tmp_path / "prior"))
    z = np.random.default_rng(0).standard_normal((1, 512)).astype(np.float32)
    theirs = tensors(state)
    styles = mapping(theirs, torch.from_numpy(z))[:, None].repeat(1, 6, 1)
    noises = [theirs[f"noises.noise_{i}"] for i in range(5)]
    _, expected = stylegan2(theirs, {"styles": styles, "noises": noises}, {})
    apply = prior.generator.apply
    latents = {
        "styles": apply(prior.variables, jnp.array(z), method="map_styles"),
        "noises": fixed_noises(str(tmp_path / "prior")),
    }
    image = np.moveaxis(
        np.asarray(prior.generator.apply(prior.variables, latents)), -1, 1
    )
    scale = float(expected.abs().max())
    np.testing.assert_allclose(image, expected.numpy(), rtol=0, atol=1e-4 * scale)


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("where", ["in the zip", "in the old format", "bare"])
def test_a_pickle_that_runs_code_is_refused(where, tmp_path):
    source, proof = str(tmp_path / "source.pt"), tmp_path / "ran"
    tree = tensors(public_files()["rtil"]) | {"args": Hostile(proof)}
    if where == "bare":
        with open(source, "wb") as file:
            pickle.dump(Hostile(proof), file, protocol=2)
    else:
        zipped = where == "in the zip"
        torch.save(tree, source, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match="asks for .*system, .* nothing in it was run"):
        convert(source, str(tmp_path / "prior"))
    assert not proof.exists() and not (tmp_path / "prior").exists()
    if where == "in the zip":  # ... where it would have run
        torch.load(source, weights_only=False)
        assert proof.exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_truncated_files_are_refused(share, zipped, tmp_path):
    source = tmp_path / "source.pt"
    tree = tensors(public_files()["rtil"])
    torch.save(tree, source, _use_new_zipfile_serialization=zipped)
    data = source.read_bytes()
    source.write_bytes(data[: int(share * len(data))])
    command = [
        "-m",
        "rtil_jax",
        "convert",
        str(source),
        "--to",
        str(tmp_path / "prior"),
    ]
    found = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    assert found.returncode == 1 and found.stderr.count("\n") == 1
    assert "truncated, damaged or foreign file" in found.stderr
    assert not (tmp_path / "prior").exists()


def test_a_whole_module_of_another_network_is_refused(tmp_path):
    torch.save({"g_ema": torch.nn.Linear(2, 2)}, tmp_path / "source.pt")
    with pytest.raises(UserError, match="asks for torch.nn.*Linear, expected tensors"):
        convert(str(tmp_path / "source.pt"), str(tmp_path / "prior"))
