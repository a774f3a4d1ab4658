import ast
import importlib.util
import json
import math
import pathlib

import pytest

from rtil_jax import devices
from rtil_jax.config import (
    first_difference,
    parse_variants,
    plain,
    save_config,
)
from rtil_jax.errors import UserError
from rtil_jax.experiments.training.configured_recipe import (
    build_recipe,
    resolved,
    saved_run,
)
from rtil_jax.experiments.training.training_config import stylegan2_config
from rtil_jax.experiments.training.training_plan import abstract_state, count_parameters

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
] + [("quickstart", f"pggan,{name}") for name in ("vanilla", "short", "tiny")]


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
    recipe = build_recipe(resolved(config, num_devices=1))
    state = abstract_state(recipe, devices.data_mesh(1))
    assert count_parameters(state.ema) == count_parameters(state.generator) > 1000
    assert math.isclose(sum(recipe.family.weights), 1)
    vanilla = "vanilla" in (variant or "")
    assert (recipe.family.num_members == 1) == vanilla
    # At least one block is left to make an image of what the family changes.
    family = recipe.family
    changed = [family.block] if config.architecture == "pggan" else family.blocks
    assert all(block < recipe.generator.num_blocks for block in changed)
    if variant == "tiny":
        assert config.training.steps <= 100 and config.resolution <= 32


@pytest.mark.parametrize("name", MODULES)
def test_every_config_says_its_command_and_its_variants(name):
    text = MODULES[name].__doc__
    assert f"python train.py --config configs/{name}.py" in text
    for variant in (*variants_of(MODULES[name]), "rtil", "vanilla", "tiny"):
        assert f"`{variant}`" in text
    assert MODULES[name].get_config() == MODULES[name].get_config("rtil")


@pytest.mark.parametrize(
    "reference, r1_weight, half_life",
    [(0, 0.2, 32_000), (8, 0.2, 8_000), (32, 0.8, 32_000), (2, 0.05, 2_000)],
)
def test_numbers_stated_for_another_batch_are_per_image(
    reference, r1_weight, half_life
):
    """R1 is weighted by reference / batch; the EMA forgets half in as many images."""
    config = MODULES["stylegan2_faces64"].get_config("cpu")
    training = config.training
    training.batch_size, training.reference_batch = 8, reference
    training.r1_weight, training.ema_decay = 0.2, 0.5 ** (1 / 1_000)
    if not reference:
        training.ema_decay = 0.5 ** (8 / 32_000)
    recipe = build_recipe(resolved(config, num_devices=1))
    assert recipe.r1_weight == pytest.approx(r1_weight)
    assert 8 / math.log(recipe.ema_decay, 0.5) == pytest.approx(half_life, rel=1e-3), (
        "images"
    )
    assert recipe.learning_rate == training.learning_rate


def test_the_papers_stylegan2_and_its_schedule():
    config = MODULES["stylegan2_ffhq256"].get_config()
    recipe = build_recipe(resolved(config, num_devices=1))
    state = abstract_state(recipe, devices.data_mesh(1))
    assert count_parameters(state.generator) == 10_206_434
    assert count_parameters(state.discriminator) == 7_219_009
    shapes = [recipe.generator.intermediate_shape(b) for b in recipe.family.blocks]
    assert [math.prod(shape) for shape in shapes] == [4_096, 16_384, 65_536, 262_144]
    assert recipe.family.weights == (0.2,) * 5
    paper = MODULES["stylegan2_ffhq256"].get_config("paper_weights")
    paper = build_recipe(resolved(paper, num_devices=1))
    assert paper.family.weights == (0.5, *[0.125] * 4)
    assert math.isclose(recipe.ema_decay, 0.997784, rel_tol=1e-6)
    training = config.training
    assert (training.steps, training.batch_size) == (500_000, 6)
    assert training.r1_weight / 2 * training.r1_every == 80
    assert training.path_weight * training.path_every == 8


def test_the_papers_pggan_and_its_schedule():
    config = resolved(MODULES["pggan_ffhq256"].get_config(), num_devices=1)
    recipe = build_recipe(config)
    state = abstract_state(recipe, devices.data_mesh(1))
    modules = state.generator["params"]
    heads = [name for name in modules if name.startswith("to_rgbs")]
    unused = {name: modules[name] for name in heads if name != "to_rgbs_6"}
    assert count_parameters(modules) == 7_449_109
    assert count_parameters(modules) - count_parameters(unused) == 7_445_443
    assert count_parameters(state.discriminator) == 6_367_617
    assert recipe.family.codes == (1, 10, 20)
    assert recipe.generator.intermediate_shape(recipe.family.block) == (32, 32, 256)
    assert recipe.family.weights == (1 / 3,) * 3
    paper = MODULES["pggan_ffhq256"].get_config("paper_weights")
    paper = build_recipe(resolved(paper, num_devices=1))
    assert paper.family.weights == (0.5, 0.25, 0.25)
    assert [p.resolution for p in recipe.phases] == [4, 8, 16, 32, 64, 128, 256]
    assert [p.batch_size for p in recipe.phases] == [32, 32, 32, 16, 8, 6, 6]
    assert [p.first_step for p in recipe.phases] == [85_714 * i for i in range(7)]
    assert [p.fade_steps for p in recipe.phases] == [0] + [42_857] * 6
    assert config.training.steps == 600_000
    assert (recipe.learning_rate, recipe.ema_decay) == (0.001, 0.999)
    assert (recipe.penalty_weight, recipe.drift) == (10, 0.001)


METHOD_FOR = "method.method_for"
FOUND = {
    "seed": 1,
    "data": {"source": "a", "count": 0},
    "training": {"steps": 5},
    "method": {"method_for": 5, "steps": 5},
    "method_for": {"rtil": {"steps": 5}},
}


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
        # A name in `free` is no prefix of another name.
        ({"method": {"method_for": 6, "steps": 5}}, ("method_for",), METHOD_FOR),
        ({"method_for": {"rtil": {}}}, ("method",), "method_for.rtil.steps"),
        ({"data": {"source": "b", "count": 0}}, ("datasource",), "data.source"),
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
    again = saved_run(json.loads(path.read_text()))
    assert again == resolved(config, num_devices=1)
