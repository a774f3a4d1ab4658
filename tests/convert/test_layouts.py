"""Names, shapes and bits, there and back; what is inferred; what is refused."""

import logging
import re

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from rtil_jax import generators
from rtil_jax.config import plain
from rtil_jax.convert.networks import checkpoint_from
from rtil_jax.convert.wrappers import find_networks
from rtil_jax.errors import UserError
from rtil_jax.generators import PGGANGenerator, StyleGAN2Generator
from rtil_jax.generators.configured import build_generator
from tests.convert import checkpoints
from tests.convert.parity import arrays, converted, saved

WIDTHS = (6, 5, 3)


def prefixed(state):
    return {f"module.{key}": tensor for key, tensor in state.items()}


def trees():
    """A file of every kind, as nested dicts."""
    style, progressive = checkpoints.stylegan2, checkpoints.pggan
    style_d = checkpoints.stylegan2_discriminator(WIDTHS)
    mean = np.arange(7, dtype=np.float32)
    return {
        "rosinality, converted": {"g_ema": style(WIDTHS), "latent_avg": mean},
        "rosinality, trained": {
            "g": style(WIDTHS, seed=8),
            "d": style_d,
            "g_ema": style(WIDTHS, seed=9),
            "g_optim": {"state": {}},
        },
        "RTIL StyleGAN2": {
            "g": prefixed(style(WIDTHS, seed=8)),
            "d": prefixed(style_d),
            "g_ema": prefixed(style(WIDTHS, seed=9)),
        },
        "prefix on g alone": {
            "g": prefixed(style(WIDTHS, seed=8)),
            "g_ema": style(WIDTHS),
        },
        "a bare state_dict": style(WIDTHS, channels=1),
        "RTIL PGGAN": {
            "g": progressive(WIDTHS, seed=8),
            "d": checkpoints.pggan_discriminator(WIDTHS),
            "g_ema": progressive(WIDTHS, seed=9),
            "step": 2,
            "alpha": 1,
        },
        "official PGGAN": checkpoints.official_pggan(WIDTHS),
    }


def exported(found, networks=None):
    """Through a config as it is after saving."""
    networks = networks or {
        "g_ema": found.ema,
        "g": found.generator,
        "d": found.discriminator,
    }
    config = ConfigDict(plain(found.config))
    return checkpoint_from(config, networks, found.buffers)


@pytest.mark.parametrize("name", trees())
def test_there_and_back_is_the_same_bits(name):
    tree = trees()[name]
    checkpoint = exported(converted(tree))
    back = {
        part: prefixed(state) if part in checkpoint.prefixed else state
        for part, state in checkpoint.parts.items()
    }
    back = back["g_ema"] if checkpoint.flat else back | checkpoint.tensors
    before, after = arrays(tree), arrays(back)
    assert before.keys() == after.keys()
    for key, tensor in before.items():
        assert after[key].shape == tensor.shape and after[key].dtype == np.float32
        assert after[key].tobytes() == tensor.tobytes(), key


@pytest.mark.parametrize("name", trees())
def test_variables_are_those_of_the_generator_in_the_config(name):
    found = converted(trees()[name])
    generator = build_generator(found.config)
    shapes = jax.eval_shape(lambda k: generators.init(generator, k), jax.random.key(0))
    expected = jax.tree.map(lambda leaf: leaf.shape, shapes)
    for variables in (found.ema, found.generator):
        assert jax.tree.map(lambda leaf: leaf.shape, variables) == expected


def test_networks_go_where_their_names_say():
    tree = trees()["RTIL StyleGAN2"]
    found = converted(tree)
    for part, variables in (("g", found.generator), ("g_ema", found.ema)):
        np.testing.assert_array_equal(
            variables["params"]["constant"][0, :, :, 2],
            tree[part]["module.input.input"][0, 2],
        )
    alone = converted({"g": tree["g"]})
    np.testing.assert_array_equal(
        alone.ema["params"]["constant"], found.generator["params"]["constant"]
    )
    assert alone.discriminator is None and found.discriminator is not None


@pytest.mark.parametrize(
    "kind, resolution, fields",
    [
        ("rtil", 256, {"max_channels": 256, "channel_base": 16_384}),
        ("1", 256, {"max_channels": 512, "channel_base": 16_384}),
        ("2", 256, {"max_channels": 512, "channel_base": 32_768}),
        ("2", 512, {"max_channels": 512, "channel_base": 32_768}),
        ("2", 1024, {"max_channels": 512, "channel_base": 32_768}),
        ("pggan", 256, {"max_channels": 256, "channel_base": 8_192}),
        ("official", 256, {"max_channels": 512, "channel_base": 16_384}),
        ("official", 1024, {"widths": checkpoints.public_widths("official", 1024)}),
    ],
)
def test_public_channel_maps(kind, resolution, fields, monkeypatch):
    def blank(draw, key, *shape, mean=0.0, std=1.0):
        draw.tensors[key] = np.zeros(shape, np.float32)

    monkeypatch.setattr(checkpoints.Draws, "__call__", blank)
    widths = checkpoints.public_widths(kind, resolution)
    make = {"pggan": checkpoints.pggan, "official": checkpoints.official_pggan}
    state = make.get(kind, checkpoints.stylegan2)(widths, latent_dim=512)
    config = converted({"g_ema": state}).config
    assert (config.resolution, config.channels) == (resolution, 3)
    assert {name: config.generator[name] for name in fields} == fields
    assert config.generator.latent_dim == 512
    generator = build_generator(config)
    blocks = range(1, generator.num_blocks + 1)
    assert tuple(generator.width(block) for block in blocks) == widths
    shapes = jax.eval_shape(lambda k: generators.init(generator, k), jax.random.key(0))
    buffers = ("noises.", "kernel", "lod")
    theirs = sum(x.size for k, x in state.items() if not any(b in k for b in buffers))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == theirs


def test_any_widths_have_a_config():
    config = converted({"g_ema": checkpoints.stylegan2((3, 7, 2))}).config
    assert config.generator.widths == (3, 7, 2)


@pytest.mark.parametrize("architecture", [StyleGAN2Generator, PGGANGenerator])
def test_widths_replace_the_rule(architecture):
    ruled = architecture(resolution=256)
    widths = [ruled.width(block) for block in range(1, 8)]
    listed = architecture(resolution=256, max_channels=1, widths=tuple(widths))
    assert [listed.width(block) for block in range(1, 8)] == widths


def test_noise_maps_that_nobody_kept_are_drawn():
    found = converted(trees()["a bare state_dict"])
    found.buffers.clear()
    maps = [
        tensor
        for key, tensor in exported(found).parts["g_ema"].items()
        if key.startswith("noises.")
    ]
    assert [m.shape[-1] for m in maps] == [4, 8, 8, 16, 16]
    values = np.concatenate([m.ravel() for m in maps])
    assert abs(values.mean()) < 0.2 and abs(values.std() - 1) < 0.2


def changed(**changes):
    """A bare StyleGAN2 with tensors replaced, or left out for None."""
    state = checkpoints.stylegan2(WIDTHS)
    for name, tensor in changes.items():
        state.pop(name, None)
        if tensor is not None:
            state[name] = tensor
    return {"g_ema": state}


@pytest.mark.parametrize(
    "tree, message",
    [
        (changed(**{"convs.1.conv.weight": None}), "convs.1.conv.weight is missing"),
        (
            changed(**{"conv1.activate.bias": np.zeros(4)}),
            r"conv1.activate.bias has shape \(4,\), expected \(6,\)",
        ),
        (changed(**{"to_rgb1.extra": np.zeros(1)}), "to_rgb1.extra is not expected"),
    ],
)
def test_the_first_difference_from_the_closest_layout_is_named(tree, message):
    expected = f"closest known one is rosinality's or RTIL's StyleGAN2, but {message}"
    with pytest.raises(UserError, match=expected) as error:
        converted(tree)
    assert "\n" not in str(error.value)


def test_closest_is_the_layout_that_shares_most_names():
    state = checkpoints.pggan(WIDTHS)
    del state["to_rgb_16.conv.bias"]
    with pytest.raises(UserError, match="closest.* RTIL's PGGAN, but to_rgb_16.conv.b"):
        converted({"g_ema": state})
    with pytest.raises(
        UserError, match=r"\(state.fc.weight\), which resembles no known one"
    ):
        converted({"state": {"fc.weight": np.zeros((2, 2))}})
    with pytest.raises(
        UserError, match=r"\(no tensors\), which resembles no known one"
    ):
        converted({})


@pytest.mark.parametrize(
    "tree, message",
    [
        (
            changed(**{"convs.0.conv.blur.kernel": np.full((4, 4), 0.25)}),
            r"convs.0.conv.blur.kernel: found \[0.25, .*expected \[0.0625, 0.1875",
        ),
        (
            checkpoints.official_pggan(WIDTHS) | {"lod": np.array(2.0)},
            "lod: found 2, expected 0",
        ),
        (
            {"g_ema": checkpoints.pggan(WIDTHS), "g": checkpoints.pggan((6, 5))},
            "g: found a network that differs from g_ema",
        ),
    ],
)
def test_other_networks_than_the_layouts_are_refused(tree, message):
    with pytest.raises(UserError, match=message):
        converted(tree)


def test_a_resolution_that_the_file_does_not_have_is_refused():
    tree = {"g_ema": checkpoints.stylegan2(WIDTHS)}
    assert converted(tree, resolution=16).config.resolution == 16
    with pytest.raises(UserError, match="--resolution: found 256, expected 16"):
        converted(tree, resolution=256)


@pytest.mark.parametrize(
    "changes, warning",
    [
        ({}, None),
        ({"step": 1}, "still growing .step 1 of 2"),
        ({"alpha": 0.5}, "still growing .step 2 of 2, alpha 0.5"),
        ({"d": checkpoints.stylegan2_discriminator(WIDTHS)}, "d: not converted"),
        ({"d": checkpoints.pggan_discriminator((6, 5))}, "d: not.* 8 pixels"),
        ({"d": checkpoints.pggan_discriminator(WIDTHS, 1)}, "d: not.* 1 channel"),
    ],
)
def test_what_still_can_be_used_comes_with_a_warning(changes, warning, caplog):
    with caplog.at_level(logging.WARNING, logger="rtil_jax"):
        found = converted(trees()["RTIL PGGAN"] | changes)
    assert (found.discriminator is None) == ("d" in changes)
    assert "d" in found.config.converted.parts or "d" in changes
    if warning is None:
        assert not caplog.records
    else:
        (record,) = caplog.records
        assert re.search(warning, record.getMessage())


def test_a_flat_file_of_parts_is_one_of_parts():
    """As safetensors, which cannot nest, holds it."""
    tree = trees()["RTIL StyleGAN2"]
    nested = find_networks(saved(tree))
    flat = find_networks(saved(arrays(tree)))
    assert flat.parts.keys() == nested.parts.keys() and flat.prefixed == nested.prefixed
    for part, state in nested.parts.items():
        assert state.keys() == flat.parts[part].keys()


def test_an_architecture_without_a_public_layout_is_named():
    config = ConfigDict({"architecture": "dcgan", "generator": {}})
    with pytest.raises(UserError, match="config.architecture: found 'dcgan'"):
        checkpoint_from(config, {}, {})
