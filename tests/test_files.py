"""Files are replaced whole or left alone."""

import os
import pathlib

import pytest
from ml_collections import ConfigDict

from rtil_jax.convert.dcgan_faces import write_prior
from rtil_jax.convert.directory import convert
from rtil_jax.data import load_images
from rtil_jax.errors import UserError
from rtil_jax.experiments.family_samples import draw_family_samples
from rtil_jax.experiments.inversion.sweep import run_sweep
from rtil_jax.experiments.posterior import run_posterior
from rtil_jax.experiments.theory.experiment import run_theory
from rtil_jax.experiments.training.loop import train
from rtil_jax.files import local_path, replacing
from rtil_jax.inversion import load_prior


def test_a_file_is_replaced_once_the_block_has_ended(tmp_path):
    path = str(tmp_path / "a")
    with replacing(path) as file:
        file.write("old")
    with replacing(path, "wb") as file:
        file.write(b"new")
        with open(path) as reader:
            assert reader.read() == "old"
    with open(path) as reader:
        assert reader.read() == "new"
    assert os.listdir(tmp_path) == ["a"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = str(tmp_path / "a")
    with replacing(path) as file:
        file.write("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write("part of the new")
        raise KeyboardInterrupt
    with open(path) as reader:
        assert reader.read() == "old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    "url", ["gs://bucket/run", "s3://b", "https://host/a.zip", "GS://b", "gs:/b"]
)
def test_a_url_is_no_local_path(url):
    message = f"^--workdir: found {url}, expected a local path .*: copy it from or to"
    with pytest.raises(UserError, match=message):
        local_path(pathlib.Path(url) if url == "gs:/b" else url, "--workdir")


def test_a_file_url_is_told_its_path():
    with pytest.raises(UserError, match=": write /data/run$"):
        local_path("file:///data/run", "--workdir")


def test_local_paths_stay_and_the_home_is_written_out(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    for path in ("runs/a", "/a:b/c", "C:/runs", "C:\\runs", "tfds:mnist", "a b"):
        assert local_path(path, "x") == path
    assert local_path(pathlib.Path("~/runs"), "x") == "/home/me/runs"


@pytest.mark.parametrize(
    "name, use",
    {
        "--workdir": lambda url: train(ConfigDict(), url),
        "--workdir ": lambda url: run_sweep(ConfigDict(), url),
        "--workdir  ": lambda url: run_posterior(ConfigDict(), url),
        "--workdir   ": lambda url: run_theory(ConfigDict(), url),
        "--workdir    ": lambda url: draw_family_samples(ConfigDict(), url),
        "--to": lambda url: convert("a.pt", url),
        "SOURCE": lambda url: convert(url, "runs"),
        "--to ": lambda url: write_prior("a.whl", url),
        "prior": load_prior,
        "images": lambda url: load_images(url, "test", resolution=8, channels=1),
        "cache_dir": lambda url: load_images(
            "avatars", "test", resolution=8, channels=1, count=1, cache_dir=url
        ),
    }.items(),
)
def test_no_program_makes_a_folder_called_gs(name, use, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"^{name.strip()}.*: found gs://bucket/run"):
        use("gs://bucket/run")
    assert os.listdir(tmp_path) == []
