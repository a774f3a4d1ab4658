"""Whatever value a field has, a config is accepted or refused with one line."""

import importlib.util
import math
import pathlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict

from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inversion_run import parse_inversion
from rtil_jax.experiments.training.configured_recipe import resolved

CONFIGS = pathlib.Path(__file__).parent.parent / "configs"
# Values of each type, the command line's parser having refused those of others.
NUMBERS = st.one_of(st.floats(), st.sampled_from([0.0, -1.0, 1e30, math.nan]))
INTEGERS = st.one_of(st.integers(-3, 70), st.sampled_from([10**12, -(2**40)]))
WORDS = st.one_of(st.text(max_size=5), st.sampled_from(["..", "rtil", "ilo", "last"]))
VALUES = {
    bool: st.booleans(),
    int: INTEGERS,
    float: NUMBERS,
    str: WORDS,
    tuple: st.lists(st.one_of(INTEGERS, NUMBERS, WORDS), max_size=4).map(tuple),
}
TRAINING = ("stylegan2_faces64.py", "pggan_faces64.py")
INVERSION = ("ilo.py", "mganprior.py", "csgm.py", "surgery.py", "baselines.py")


def read(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config("tiny").unlock()


def leaves(config, prefix=""):
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            yield from leaves(value, f"{prefix}{name}.")
        elif type(value) in VALUES:
            yield f"{prefix}{name}", type(value)


def fuzz(path, check):
    """`check(config)` with one or two fields of any value."""
    original = read(path)
    field = st.sampled_from(sorted(leaves(original), key=str))
    change = field.flatmap(lambda f: st.tuples(st.just(f[0]), VALUES[f[1]]))

    @settings(deadline=None, derandomize=True, max_examples=150)
    @given(st.lists(change, min_size=1, max_size=2))
    def run(changes):
        config = original.copy_and_resolve_references()
        for name, value in changes:
            with config.ignore_type():
                config.update_from_flattened_dict({name: value})
        try:
            check(config)
        except UserError as error:
            assert "\n" not in str(error)

    run()


@pytest.mark.parametrize("name", TRAINING)
def test_training(name):
    fuzz(CONFIGS / name, lambda config: resolved(config, 1))


@pytest.mark.parametrize("name", INVERSION)
def test_inversion(name):
    def check(config):
        config.priors.rtil = config.priors.rtil or "somewhere"
        parse_inversion(config)

    fuzz(CONFIGS / "invert" / name, check)
