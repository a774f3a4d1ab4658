"""The wheel gives the whole tool, where there is no clone."""

import argparse
import configparser
import importlib
import os
import pydoc
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import rtil_jax
from rtil_jax.cli import configs
from rtil_jax.cli.config_files import find_config, importable, known_configs
from rtil_jax.cli.main import COMMANDS

CLONE = Path(__file__).parents[1]
SOURCES = "configs pyproject.toml README.md rtil_jax setup.cfg setup.py".split()
# The demo needs the small ones alone; all would take seconds to compress.
OTHER_PRIORS = shutil.ignore_patterns("__pycache__", "faces*", "avatars32_pggan*")


def run(*words, **options):
    done = subprocess.run(words, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def rtil(tmp_path_factory):
    """Runs `rtil WORDS` of a wheel in an empty directory.

    The environment has this one's packages, but for what this one has of a clone.
    """
    folder = tmp_path_factory.mktemp("install")
    source, wheels, home = folder / "source", folder / "wheels", folder / "venv"
    source.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (CLONE / name).is_dir() else shutil.copy
        options = {"ignore": OTHER_PRIORS} if copy is shutil.copytree else {}
        copy(CLONE / name, source / name, **options)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    pip = sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"
    build = *pip, "wheel", "--no-deps", "--wheel-dir", wheels, source
    run(*map(str, build), env=clean, cwd=folder)
    venv.create(home, with_pip=False)
    names = {"base": str(home), "platbase": str(home)}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=names))
    (packages / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
    scripts = Path(sysconfig.get_path("scripts", "venv", vars=names))
    (wheel,) = wheels.iterdir()
    install = "--python", scripts / "python", "install", "--no-deps", "--no-index"
    run(*map(str, (*pip, *install, "--ignore-installed", wheel)), env=clean, cwd=folder)
    (folder / "empty").mkdir()

    def called(*words):
        return run(str(scripts / "rtil"), *words, env=clean, cwd=folder / "empty")

    called.folder, called.wheel = folder / "empty", wheel
    return called


def test_the_demo_runs_from_the_wheel(rtil):
    config = "--config=configs/invert/demo.py:tiny"
    small = "problem=inpainting", "images.count=1", "method.steps=(1,)"
    rtil("invert", config, "--workdir=demo", *(f"--config.{field}" for field in small))
    written = set(os.listdir(rtil.folder / "demo"))
    assert written >= {"report.html", "results.csv", "summary.md", "recovered"}


def test_the_configs_are_in_the_wheel(rtil):
    held = zipfile.ZipFile(rtil.wheel).namelist()
    for path in known_configs():
        assert f"rtil_jax/shipped/{path}" in held


def test_every_module_is_in_the_wheel(rtil):
    held = zipfile.ZipFile(rtil.wheel).namelist()
    for path in (CLONE / "rtil_jax").rglob("*.py"):
        assert path.relative_to(CLONE).as_posix() in held


def test_configs_are_listed_with_their_first_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    configs.run(argparse.Namespace())
    listed = capsys.readouterr().out
    for path in (CLONE / "configs").rglob("*.py"):
        assert f"  {path.relative_to(CLONE).as_posix()}\n      " in listed
    assert "Intermediate Layer Optimization, with one setting for every prior" in listed


def test_a_file_of_the_working_directory_comes_before_the_packages(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = "configs/invert/ilo.py"
    assert find_config(path) == str(CLONE / path)
    assert find_config("./configs/invert/ilo.py") == str(CLONE / path)
    assert find_config("invert/ilo.py") == "invert/ilo.py"  # which there is not
    Path(path).parent.mkdir(parents=True)
    Path(path).write_text("")
    Path("configs/mine.py").write_text("")
    assert find_config(path) == path
    assert {"configs/mine.py", "configs/quickstart.py"} < {*known_configs()}


def test_a_config_of_ones_own_may_build_on_the_packages(tmp_path, monkeypatch):
    for name in [n for n in sys.modules if n.partition(".")[0] == "configs"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(CLONE))])
    own = tmp_path / "configs" / "own.py"
    own.parent.mkdir()
    own.write_text("NAME = 'own'")
    with importable(str(own)):
        found = importlib.import_module("configs.own")
        csgm = importlib.import_module("configs.invert.csgm")

    assert found.NAME == "own" and csgm.__file__.startswith(str(CLONE))
    for name in [n for n in sys.modules if n.partition(".")[0] == "configs"]:
        monkeypatch.delitem(sys.modules, name)


def test_the_face_is_told_by_help():
    page = pydoc.plain(pydoc.render_doc(rtil_jax))
    for name in set(dir(rtil_jax)) - set(vars(rtil_jax)) | {*rtil_jax._PLACE_OF}:
        assert re.search(rf"\b{name}\b", page), name
        assert getattr(rtil_jax, name) is not None
    assert "rtil --help" in page and "found = rj.invert(" in page


def test_every_command_is_a_module_with_help():
    for command in COMMANDS:
        path = CLONE / "rtil_jax" / "cli" / f"{command.replace('-', '_')}.py"
        assert f"rtil {command}" in path.read_text() or command in ("train", "invert")


def test_metadata_names_authors_pythons_and_the_version():
    setup = configparser.ConfigParser()
    setup.read(CLONE / "setup.cfg")
    metadata = setup["metadata"]
    assert metadata["author"] and metadata["project_urls"] and metadata["keywords"]
    assert metadata["version"] == "attr: rtil_jax.__version__"
    version = rtil_jax.__version__
    assert f"\nversion: {version}\n" in (CLONE / "CITATION.cff").read_text()
    assert f"\n## [{version}] - " in (CLONE / "CHANGELOG.md").read_text()
    for minor in (11, 12, 13):
        assert f"Python :: 3.{minor}" in metadata["classifiers"]
