"""Every field of a training config is checked before anything runs."""

import math
import re

import jax
import pytest

from rtil_jax.config import save_config
from rtil_jax.errors import UserError
from rtil_jax.experiments.parsing import as_json
from rtil_jax.experiments.training.configured_recipe import build_recipe, resolved
from rtil_jax.experiments.training.training_config import pggan_config, stylegan2_config
from rtil_jax.experiments.training.training_workdir import check_workdir

BAD_FIELDS = [
    ("seed", -1, "an integer in [0, 2^32)"),
    ("seed", 2**32, "an integer in [0, 2^32)"),
    ("resolution", 48, "a power of two, at least 8"),
    ("resolution", 4, "a power of two, at least 8"),
    ("resolution", 0, "a power of two, at least 8"),
    ("channels", 2, "one of (1, 3)"),
    ("precision", "half", "one of float32, bfloat16"),
    ("data.count", -1, "at least 0"),
    ("generator.max_channels", 0, "at least 1"),
    ("generator.channel_base", 128, "at least 256, the resolution"),
    ("generator.latent_dim", -3, "at least 1"),
    ("generator.mapping_layers", 0, "at least 1"),
    ("generator.style_mixing", 1.1, "a number in [0, 1]"),
    ("generator.style_mixing", math.nan, "a number in [0, 1]"),
    ("discriminator.max_channels", 0, "at least 1"),
    ("discriminator.channel_base", 0, "at least 256, the resolution"),
    ("generator.widths", (8, 8), "7 positive integers, one per block, or ()"),
    ("generator.widths", (8,) * 6 + (0,), "7 positive integers, one per block, or ()"),
    ("discriminator.widths", (0.5,) * 7, "7 positive integers, one per block, or ()"),
    ("family.blocks", ("abc",), "integers, such as (1, 2, 3) or ()"),
    ("family.blocks", (1, "x"), "integers, such as (1, 2, 3) or ()"),
    ("family.blocks", (1, 1.5), "integers, such as (1, 2, 3) or ()"),
    ("family.sigma", -1.0, "a number of at least 0"),
    ("family.base_weight", 2.0, "a number in [0, 1]"),
    ("family.weighting", "even", "one of ('paper', 'uniform')"),
    ("family.members", "all", "one of ('drawn', 'enumerated')"),
    ("training.steps", 0, "at least 1"),
    ("training.batch_size", 0, "a multiple of a number from 2 to 4"),
    ("training.batch_size", 7, "a multiple of a number from 2 to 4"),
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
    ("checkpoint.keep_every", -1, "at least 0"),
    ("checkpoint.rollbacks", -1, "at least 0"),
    ("sample.every", 0, "at least 1"),
    ("sample.columns", 0, "at least 1"),
    ("log.every", 0, "at least 1"),
]


@pytest.mark.parametrize("field, value, expected", BAD_FIELDS)
def test_a_field_that_cannot_be_used(field, value, expected):
    config = stylegan2_config()
    resolved(config, num_devices=1)
    config.update_from_flattened_dict({field: value})
    message = re.escape(f"config.{field}: found {value!r}, expected {expected}")
    with pytest.raises(UserError, match=message):
        resolved(config, num_devices=1)


def test_devices_divide_the_batch():
    config = stylegan2_config()
    resolved(config, num_devices=3)
    message = r"training\.batch_size: found 6, expected a multiple of 4, the number of"
    with pytest.raises(UserError, match=message):
        resolved(config, num_devices=4)


@pytest.mark.parametrize("blocks", [(0,), (8,), (2, 1), (1, 1)])
def test_blocks_that_the_generator_has_not(blocks):
    config = stylegan2_config()
    config.family.blocks = blocks
    with pytest.raises(UserError, match=r"config\.family\.blocks: found"):
        build_recipe(resolved(config, num_devices=1))


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
    resolved(config, num_devices=1)
    assert build_recipe(resolved(config, num_devices=1)).family.num_members == 1
    jax.random.key(config.seed)


BAD_PGGAN_FIELDS = [
    ("architecture", "biggan", "one of stylegan2, pggan"),
    ("family.codes", (), "increasing numbers of codes from 1"),
    ("family.codes", (10, 20), "increasing numbers of codes from 1"),
    ("family.codes", (0, 1), "increasing numbers of codes from 1"),
    ("family.codes", (1, 20, 10), "increasing numbers of codes from 1"),
    ("family.codes", (1, 2.5), "increasing numbers of codes from 1"),
    ("family.block", 0, "one of 1 to 7, the last block"),
    ("family.block", 8, "one of 1 to 7, the last block"),
    ("generator.layout", "other", "one of ('rtil', 'official')"),
    ("growing", "fast", "one of ('progressive', 'none')"),
    ("phases.resolutions", (4, 8, 16), "powers of two from 4 or more, each twice"),
    ("phases.resolutions", (4, 256), "powers of two from 4 or more, each twice"),
    ("phases.resolutions", (128, 256, 512), "powers of two from 4 or more, each twice"),
    ("phases.resolutions", (2, 4), "powers of two from 4 or more, each twice"),
    ("phases.batch_sizes", (6, 6), "one for each of the 7 phases, or ()"),
    ("phases.steps", -1, "at least 0"),
    ("phases.steps", 95_000, "fewer, so that the last of 7 phases fades in within"),
    ("phases.steps", 100_000, "fewer, so that the last of 7 phases fades in within"),
    ("discriminator.stddev_group", 0, "at least 2"),
    ("training.penalty_weight", -1.0, "a number of at least 0"),
    ("training.drift", math.nan, "a number of at least 0"),
    ("discriminator.stddev_group", 1, "at least 2"),
]


@pytest.mark.parametrize("field, value, expected", BAD_PGGAN_FIELDS)
def test_a_field_of_pggan_that_cannot_be_used(field, value, expected):
    config = pggan_config()
    resolved(config, num_devices=1)
    config.update_from_flattened_dict({field: value})
    message = re.escape(f"config.{field}: found {value!r}, expected {expected}")
    with pytest.raises(UserError, match=message):
        resolved(config, num_devices=1)


def test_each_phase_has_a_step():
    config = pggan_config()
    config.training.steps = 6
    with pytest.raises(UserError, match="steps: found 6, expected at least 7, one for"):
        resolved(config, num_devices=1)
    config.growing = "none"
    config.phases.resolutions = (4, 8)  # not read
    resolved(config, num_devices=1)


def test_devices_divide_the_batch_of_every_phase():
    config = pggan_config()
    config.phases.batch_sizes = (32, 32, 32, 16, 8, 6, 6)
    resolved(config, num_devices=2)
    message = r"phases\.batch_sizes: found 32, expected a multiple of 3"
    with pytest.raises(UserError, match=message):
        resolved(config, num_devices=3)


@pytest.mark.parametrize("field", ["training.batch_size", "phases.batch_sizes"])
@pytest.mark.parametrize("group, size", [(2, 9), (4, 5), (4, 7), (8, 11)])
def test_minibatch_stddev_needs_groups_of_two_or_more(field, group, size):
    config = pggan_config()
    config.discriminator.stddev_group = group
    value = size if field == "training.batch_size" else (6,) * 6 + (size,)
    config.update_from_flattened_dict({field: value})
    message = f"{field}: found {size}, expected a multiple of a number from 2 to"
    with pytest.raises(UserError, match=re.escape(message)):
        resolved(config, num_devices=1)


@pytest.mark.parametrize("group, size", [(2, 8), (4, 9), (8, 35)])
def test_groups_may_have_any_size_up_to_the_largest(group, size):
    config = pggan_config()
    config.discriminator.stddev_group, config.training.batch_size = group, size
    resolved(config, num_devices=1)


def test_the_batch_size_that_is_not_read_is_not_checked():
    config = pggan_config()
    config.phases.batch_sizes = (8,) * 7
    resolved(config, num_devices=4)


def test_every_drawn_member_needs_a_group_of_the_batch():
    config = pggan_config()
    build_recipe(resolved(config, num_devices=1))
    config.discriminator.stddev_group = 4  # of a batch of 6: two groups of three
    message = "at 4 pixels: found 6 images in 2 groups of 3, expected at least one"
    with pytest.raises(UserError, match=message):
        build_recipe(resolved(config, num_devices=1))
    config.family.members = "enumerated"
    build_recipe(resolved(config, num_devices=1))


@pytest.mark.parametrize(
    "make, other, missing",
    [
        (stylegan2_config, "pggan", "discriminator.stddev_group"),
        (pggan_config, "stylegan2", "generator.mapping_layers"),
    ],
)
def test_a_config_of_the_other_architecture(make, other, missing):
    config = make()
    config.architecture = other
    message = f"config.architecture: found '{other}', but this config has no config."
    with pytest.raises(UserError, match=re.escape(message + missing)):
        resolved(config, num_devices=1)


def test_phases_are_written_out():
    config = pggan_config()
    config.resolution = 16
    config.family.block = 3
    config.training.steps = 100
    phases = resolved(config, num_devices=1).phases
    assert phases.resolutions == (4, 8, 16) and phases.batch_sizes == (6, 6, 6)
    assert phases.steps == 33
    assert config.phases.steps == 0, "the caller's config stays as it was"
    config.growing = "none"
    (phase,) = build_recipe(resolved(config, num_devices=1)).phases
    assert (phase.resolution, phase.batch_size, phase.fade_steps) == (16, 6, 0)


@pytest.mark.parametrize("make", [stylegan2_config, pggan_config])
def test_a_run_of_before_there_were_widths_and_layouts_is_continued(make, tmp_path):
    config = make()
    old = as_json(resolved(config, num_devices=1))
    for network in ("generator", "discriminator"):
        del old[network]["widths"]
    old["generator"].pop("layout", None)
    save_config(old, str(tmp_path / "config.json"))
    check_workdir(resolved(config, 1), str(tmp_path))
    config.generator.widths = (8,) * 7
    with pytest.raises(UserError, match=r"a run with config.generator.widths = \[\]"):
        check_workdir(resolved(config, 1), str(tmp_path))
