"""Converted directories as `invert.py` and `train.py` read them, and the way back."""

import ast
import errno
import functools
import importlib
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from rtil_jax.checkpoints import load_weights
from rtil_jax.convert import convert, files, fixed_noises
from rtil_jax.convert import directory as directory_module
from rtil_jax.convert.checkpoint import Checkpoint
from rtil_jax.convert.directory import training_flags
from rtil_jax.devices import data_mesh
from rtil_jax.errors import UserError
from rtil_jax.experiments.training.configured_recipe import build_recipe, resolved
from rtil_jax.experiments.training.training_plan import abstract_state
from rtil_jax.priors.prior import load_prior
from tests.convert import checkpoints
from tests.convert.parity import converted
from tests.torch_writer import torch_bytes

WIDTHS = (5, 4, 3)
STYLE = {
    "g_ema": checkpoints.stylegan2(WIDTHS),
    "g": checkpoints.stylegan2(WIDTHS, seed=9),
    "d": checkpoints.stylegan2_discriminator(WIDTHS),
    "latent_avg": np.ones(7, np.float32),
}
PGGAN = {
    "g_ema": checkpoints.pggan(WIDTHS),
    "d": checkpoints.pggan_discriminator(WIDTHS),
}
OFFICIAL = checkpoints.official_pggan(WIDTHS)
FIT = {
    "mean": np.linspace(-1, 1, 7, dtype=np.float32),
    "std": np.linspace(0.5, 2, 7, dtype=np.float32),
}


@pytest.fixture
def save(tmp_path):
    """Writes a tree as PyTorch does."""

    def save(tree, name="source.pt"):
        (tmp_path / name).write_bytes(torch_bytes(tree))
        return str(tmp_path / name)

    return save


def same(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def training_config(flags):
    """The public config with the flags that a conversion prints."""
    first, *rest = flags
    module = first.removeprefix("--config ").removesuffix(".py").replace("/", ".")
    config = importlib.import_module(module).get_config("vanilla")
    for flag in rest:
        field, text = flag.removeprefix("--config.").split("=")
        *sections, name = field.split(".")
        section = functools.reduce(getattr, sections, config)
        is_text = isinstance(section[name], str)
        section[name] = text if is_text else ast.literal_eval(text.strip("'"))
    return resolved(config, 1)


@pytest.mark.parametrize("tree", [STYLE, PGGAN, OFFICIAL], ids=["s", "p", "o"])
def test_inversion_and_training_start_from_converted_networks(tree, save, tmp_path):
    directory, expected = str(tmp_path / "prior"), converted(tree)
    said = convert(save(tree), directory)
    flags = training_flags(expected.config, directory)
    assert " ".join(flags) in said and "16 x 16 x 3" in said
    prior = load_prior(directory)
    same(prior.variables, expected.ema)
    config = training_config(flags)
    empty = abstract_state(build_recipe(config), data_mesh())
    state = load_weights(config.init_from, empty)
    same(state.generator, expected.generator)
    if expected.discriminator is not None:
        same(state.discriminator, expected.discriminator)
    else:  # a fresh one
        kernel = state.discriminator["params"]["block_4_conv_0"]["kernel"]
        assert abs(float(np.std(kernel)) - 1) < 0.2


@pytest.mark.parametrize("tree", [STYLE, OFFICIAL], ids=["stylegan2", "official"])
def test_a_directory_goes_back_to_the_file_it_came_from(
    tree, save, tmp_path, monkeypatch
):
    directory, written = str(tmp_path / "prior"), {}
    convert(save(tree), directory)
    monkeypatch.setattr(files, "write", written.__setitem__)
    convert(directory, str(tmp_path / "out.pt"))
    (checkpoint,) = written.values()
    found = checkpoint.parts | checkpoint.tensors
    found = found["g_ema"] if checkpoint.flat else found
    assert found.keys() == tree.keys()
    same(found, tree)


def test_noise_maps_stay_with_the_prior(save, tmp_path):
    convert(save(STYLE), str(tmp_path / "prior"))
    noises = fixed_noises(str(tmp_path / "prior"))
    assert [noise.shape[1] for noise in noises] == [4, 8, 8, 16, 16]
    for i, noise in enumerate(noises):
        theirs = STYLE["g_ema"][f"noises.noise_{i}"]
        np.testing.assert_array_equal(noise[..., 0], theirs[0])
    with pytest.raises(UserError, match="found no noise maps in torch_buffers.npz"):
        fixed_noises(str(tmp_path))


def test_a_style_fit_of_the_users_is_the_priors(save, tmp_path):
    directory, fit = str(tmp_path / "prior"), save(FIT, "gaussian_fit.pt")
    decoder = {f"decoder.{key}": x for key, x in STYLE["g_ema"].items()}
    said = convert(save({"state_dict": decoder}), directory, style_fit=fit)
    assert ", from state_dict.decoder\n" in said
    prior = load_prior(directory)
    same(prior.variables, converted(STYLE).ema)
    same(prior.style_fit.mean, FIT["mean"])
    same(prior.style_fit.std, FIT["std"])
    pathlib.Path(directory, "style_fit.npz").write_bytes(b"PK no zip")
    with pytest.raises(
        UserError,
        match="style_fit.npz: found other .*, expected arrays",
    ):
        load_prior(directory)


def test_style_fits_that_cannot_be_are_refused(save, tmp_path):
    directory = str(tmp_path / "prior")
    short = save({"mean": FIT["mean"], "std": FIT["std"][:3]}, "short.pt")
    with pytest.raises(UserError, match=r"short.pt: found mean \(7,\), std \(3,\)"):
        convert(save(STYLE), directory, style_fit=short)
    with pytest.raises(UserError, match="found neither `mean` nor `std`"):
        convert(save(STYLE), directory, style_fit=save(PGGAN, "other.pt"))
    with pytest.raises(UserError, match="--style_fit: found a pggan, expected a Style"):
        convert(save(PGGAN), directory, style_fit=short)


def test_networks_that_diverged_are_refused(save, tmp_path):
    name, values = next(iter(STYLE["g_ema"].items()))
    tree = {"g_ema": STYLE["g_ema"] | {name: values * np.nan}}
    with pytest.raises(UserError, match=f"source.pt: found NaN .* in {name} of g_ema"):
        convert(save(tree), str(tmp_path / "to"))


def test_nothing_is_overwritten(save, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(UserError, match="--to: found mine in .*, expected a new or em"):
        convert(save(PGGAN), str(tmp_path / "full"))
    with pytest.raises(UserError, match="--to: found a file at .*mine, expected a new"):
        convert(save(PGGAN), str(tmp_path / "full" / "mine"))
    (tmp_path / "mine.pt").write_text("mine")
    with pytest.raises(UserError, match="--to: found .*mine.pt, expected the name"):
        convert(str(tmp_path / "full"), str(tmp_path / "mine.pt"))
    assert (tmp_path / "mine.pt").read_text() == "mine"


@pytest.mark.parametrize(
    "to, message",
    [
        ("out.pt", "found the file name .*, expected a directory, because the"),
        ("source.pt/prior", "found a file at .*, expected a new or empty directory"),
        ("gs://bucket/prior", "found gs://bucket/prior, expected a local path"),
        ("", "found '', expected a path"),
    ],
)
def test_directories_that_cannot_be_are_refused_first(to, message, save, tmp_path):
    source = save(PGGAN)
    full = to if "://" in to or not to else str(tmp_path / to)
    with pytest.raises(UserError, match=f"--to: {message}"):
        convert(source, full)
    assert os.listdir(tmp_path) == ["source.pt"]


def test_a_disk_that_is_full_is_said_in_one_line(save, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(directory_module, "save_config", full)
    with pytest.raises(UserError, match="prior: cannot be written .No space left"):
        convert(save(OFFICIAL), str(tmp_path / "prior"))


def test_exports_that_cannot_be_are_refused(tmp_path):
    for name, message in (
        ("out.npz", "ends in .pt, .pth, .safetensors"),
        ("no/out.pt", "found no folder"),
    ):
        with pytest.raises(UserError, match=f"--to: .*{message}"):
            convert(str(tmp_path), str(tmp_path / name))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="found no 'checkpoints' folder"):
        convert(str(tmp_path / "empty"), str(tmp_path / "out.pt"))


def test_messages_are_one_line_without_a_traceback(tmp_path):
    command = [sys.executable, "-m", "rtil_jax", "convert"]
    found = subprocess.run(
        [*command, str(tmp_path / "none.pt"), "--to", str(tmp_path / "prior")],
        capture_output=True,
        text=True,
    )
    assert found.returncode == 1 and not (tmp_path / "prior").exists()
    assert found.stderr.startswith("error: ") and found.stderr.count("\n") == 1
    assert "none.pt: found no readable file" in found.stderr


def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch, tmp_path):
    checkpoint = Checkpoint({"g_ema": checkpoints.pggan(WIDTHS)})
    for module, path in (("torch", "a.pt"), ("safetensors", "a.safetensors")):
        monkeypatch.setitem(sys.modules, module, None)
        expected = rf"found no package {module}, .*pip install {module}"
        with pytest.raises(UserError, match=expected):
            files.write(str(tmp_path / path), checkpoint)
