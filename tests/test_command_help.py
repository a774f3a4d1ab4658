"""`--help`: exit code, and the help of every field of every config."""

import glob
import importlib
import subprocess
import sys

import pytest

from rtil_jax.cli.command_help import field_help, flattened
from rtil_jax.experiments.inversion.inversion_config import attributes
from rtil_jax.inversion import ILO

CONFIGS = sorted(glob.glob("configs/**/*.py", recursive=True))


def test_a_method_says_what_its_arguments_are():
    about = attributes(ILO)
    assert about["steps"].startswith("number of steps of each stage")
    assert about["noise_radii"] == about["feature_radii"] != ""
    assert "Raises" not in str(about) and "UserError" not in about


@pytest.mark.parametrize("path", CONFIGS)
def test_every_field_has_help(path):
    config = importlib.import_module(path[:-3].replace("/", ".")).get_config()
    about = field_help(config)

    def has_help(field):
        return field in about or ("." in field and has_help(field.rpartition(".")[0]))

    assert [name for name, value in flattened(config) if not has_help(name)] == []


def test_without_the_dependencies_a_line_says_what_to_do():
    script = [sys.executable, "-S", "train.py", "--help"]  # no site-packages
    done = subprocess.run(script, env={}, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {sys.executable}: found no module ")
    assert "expected the Python of an environment with rtil_jax" in line


def test_a_list_that_nobody_reads_to_its_end_ends_quietly():
    script = [sys.executable, "-m", "rtil_jax", "configs"]
    process = subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 0


@pytest.mark.parametrize("command", ["invert", "measure", "posterior"])
def test_lines_of_a_command_end_with_their_backslash(command):
    about = importlib.import_module(f"rtil_jax.cli.{command}").__doc__
    assert " \\\n    --" in about
