import ast
import importlib.util
import json
import math
import pathlib
import re

import jax
import pytest
from ml_collections import ConfigDict

from rtil_jax import devices
from rtil_jax.config import (
    build_recipe,
    check_training_config,
    first_difference,
    parse_variants,
    plain,
    save_config,
)
from rtil_jax.errors import UserError
from rtil_jax.training.defaults import stylegan2_config
from rtil_jax.training.plan import abstract_state, count_parameters

CONFIGS = pathlib.Path(__file__).parent.parent / "configs"


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def variants_of(module):
    """The names that a configuration lists when it is given one that it has not."""
    with pytest.raises(UserError) as error:
        module.get_config("no-such-variant")
    return ast.literal_eval(str(error.value).partition("expected some of ")[2])


MODULES = {path.stem: load(path) for path in sorted(CONFIGS.glob("*.py"))}
CASES = [
    (name, variant)
    for name, module in MODULES.items()
    for variant in (None, *variants_of(module))
]


def test_variants_combine_with_commas():
    known = ("a", "b", "c")
    assert parse_variants("a,c", known) == {"a", "c"}
    assert parse_variants(None, known) == parse_variants("", known) == set()
    message = r"config variant: found 'd', expected some of \('a', 'b', 'c'\)"
    with pytest.raises(UserError, match=message):
        parse_variants("a,d", known)


@pytest.mark.parametrize("name, variant", CASES)
def test_every_variant_of_every_config_builds(name, variant):
    config = MODULES[name].get_config(variant)
    check_training_config(config, num_devices=1)
    recipe = build_recipe(config)
    state = abstract_state(recipe, devices.data_mesh(1))
    assert state.path_means.shape == (recipe.family.num_members,)
    assert count_parameters(state.ema) == count_parameters(state.generator) > 1000
    assert math.isclose(sum(recipe.family.weights), 1)
    vanilla = variant == "vanilla"
    assert (recipe.family.num_members == 1) == vanilla
    # At least one block is left to make an image of what the last one perturbs.
    assert all(block < recipe.generator.num_blocks for block in recipe.family.blocks)
    if variant == "tiny":
        assert config.training.steps <= 100 and config.resolution <= 32


@pytest.mark.parametrize("name", MODULES)
def test_every_config_says_its_command_and_its_variants(name):
    text = MODULES[name].__doc__
    assert f"python train.py --config configs/{name}.py" in text
    for variant in (*variants_of(MODULES[name]), "rtil", "vanilla", "tiny"):
        assert f"`{variant}`" in text
    assert MODULES[name].get_config() == MODULES[name].get_config("rtil")


def test_the_papers_networks_and_schedule():
    config = MODULES["stylegan2_ffhq256"].get_config()
    recipe = build_recipe(config)
    state = abstract_state(recipe, devices.data_mesh(1))
    assert count_parameters(state.generator) == 10_206_434
    assert count_parameters(state.discriminator) == 7_219_009
    shapes = [recipe.generator.intermediate_shape(b) for b in recipe.family.blocks]
    assert [math.prod(shape) for shape in shapes] == [4_096, 16_384, 65_536, 262_144]
    assert recipe.family.weights == (0.2,) * 5
    paper = MODULES["stylegan2_ffhq256"].get_config("paper_weights")
    assert build_recipe(paper).family.weights == (0.5, *[0.125] * 4)
    assert math.isclose(recipe.ema_decay, 0.997784, rel_tol=1e-6)
    training = config.training
    assert (training.steps, training.batch_size) == (500_000, 6)
    assert training.r1_weight / 2 * training.r1_every == 80
    assert training.path_weight * training.path_every == 8


BAD_FIELDS = [
    ("seed", -1, "an integer in [0, 2^32)"),
    ("seed", 2**32, "an integer in [0, 2^32)"),
    ("resolution", 48, "a power of two, at least 8"),
    ("resolution", 4, "a power of two, at least 8"),
    ("resolution", 0, "a power of two, at least 8"),
    ("channels", 2, "one of (1, 3)"),
    ("data.count", -1, "at least 0"),
    ("generator.max_channels", 0, "at least 1"),
    ("generator.channel_base", 128, "at least 256, the resolution"),
    ("generator.latent_dim", -3, "at least 1"),
    ("generator.mapping_layers", 0, "at least 1"),
    ("generator.style_mixing", 1.1, "a number in [0, 1]"),
    ("generator.style_mixing", math.nan, "a number in [0, 1]"),
    ("discriminator.max_channels", 0, "at least 1"),
    ("discriminator.channel_base", 0, "at least 256, the resolution"),
    ("family.blocks", ("abc",), "integers, such as (1, 2, 3) or ()"),
    ("family.blocks", (1, "x"), "integers, such as (1, 2, 3) or ()"),
    ("family.blocks", (1, 1.5), "integers, such as (1, 2, 3) or ()"),
    ("family.sigma", -1.0, "a number of at least 0"),
    ("family.base_weight", 2.0, "a number in [0, 1]"),
    ("family.weighting", "even", "one of ('paper', 'uniform')"),
    ("family.members", "all", "one of ('drawn', 'enumerated')"),
    ("training.steps", 0, "at least 1"),
    ("training.batch_size", 0, "a multiple of 2 or 3"),
    ("training.batch_size", 7, "a multiple of 2 or 3"),
    ("training.learning_rate", 0.0, "a number above 0"),
    ("training.learning_rate", math.nan, "a number above 0"),
    ("training.learning_rate", math.inf, "a number above 0"),
    ("training.r1_weight", -1.0, "a number of at least 0"),
    ("training.r1_every", -1, "at least 0"),
    ("training.path_weight", math.inf, "a number of at least 0"),
    ("training.path_every", -1, "at least 0"),
    ("training.path_batch_shrink", 0, "at least 1"),
    ("training.ema_decay", 1.0, "a number in [0, 1)"),
    ("checkpoint.every", 0, "at least 1"),
    ("checkpoint.keep", 0, "at least 1"),
    ("sample.every", 0, "at least 1"),
    ("sample.columns", 0, "at least 1"),
    ("log.every", 0, "at least 1"),
]


@pytest.mark.parametrize("field, value, expected", BAD_FIELDS)
def test_a_field_that_cannot_be_used(field, value, expected):
    config = stylegan2_config()
    check_training_config(config, num_devices=1)
    config.update_from_flattened_dict({field: value})
    message = re.escape(f"config.{field}: found {value!r}, expected {expected}")
    with pytest.raises(UserError, match=message):
        check_training_config(config, num_devices=1)


def test_devices_divide_the_batch():
    config = stylegan2_config()
    check_training_config(config, num_devices=3)
    message = r"training\.batch_size: found 6, expected a multiple of 4, the number of"
    with pytest.raises(UserError, match=message):
        check_training_config(config, num_devices=4)


@pytest.mark.parametrize("blocks", [(0,), (8,), (2, 1), (1, 1)])
def test_blocks_that_the_generator_has_not(blocks):
    config = stylegan2_config()
    config.family.blocks = blocks
    with pytest.raises(UserError, match=r"config\.family\.blocks: found"):
        build_recipe(config)


def test_edges_that_can_be_used():
    config = stylegan2_config()
    config.update_from_flattened_dict(
        {
            "seed": 2**32 - 1,
            "resolution": 8,
            "family.blocks": (),
            "training.r1_every": 0,
            "training.path_every": 0,
            "training.ema_decay": 0.0,
            "generator.style_mixing": 1.0,
            "training.batch_size": 2,
        }
    )
    check_training_config(config, num_devices=1)
    assert build_recipe(config).family.num_members == 1
    jax.random.key(config.seed)


FOUND = {"seed": 1, "data": {"source": "a", "count": 0}, "training": {"steps": 5}}


@pytest.mark.parametrize(
    "changes, free, difference",
    [
        ({}, (), None),
        ({"seed": 2}, (), "seed"),
        ({"seed": 2}, ("seed",), None),
        ({"data": {"source": "b", "count": 0}}, (), "data.source"),
        ({"data": {"source": "b", "count": 0}}, ("data",), None),
        ({"data": {"source": "b", "count": 0}}, ("data.source",), None),
        ({"data": {"source": "b", "count": 1}}, ("data.source",), "data.count"),
        ({"data": {"source": "a"}}, (), "data.count"),
        ({"data": {"source": "a", "count": 0, "more": 1}}, (), "data.more"),
        ({"data": 3}, ("data.source",), "data"),
        ({"training": {"steps": 6}, "seed": 2}, ("training.steps",), "seed"),
    ],
)
def test_the_first_difference(changes, free, difference):
    assert first_difference(FOUND, FOUND | changes, free) == difference
    assert first_difference(FOUND | changes, FOUND, free) == difference


def test_a_saved_config_is_what_the_run_was_given(tmp_path):
    config = stylegan2_config()
    path = tmp_path / "config.json"
    path.write_text("an older one")
    save_config(plain(config), str(path))
    assert json.loads(path.read_text()) == plain(config)
    assert list(tmp_path.iterdir()) == [path]
    again = ConfigDict(json.loads(path.read_text()))
    assert build_recipe(again) == build_recipe(config)
