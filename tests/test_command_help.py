"""`--help`: exit code, and the help of every field of every config."""

import glob
import importlib

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
