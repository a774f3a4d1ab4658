import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax import generators
from rtil_jax.errors import UserError
from rtil_jax.generators import StyleGAN2Generator, check_blocks
from tests.references import stylegan2 as slow
from tests.references.stylegan2 import assert_close, random_like, random_variables

PAPER = StyleGAN2Generator(resolution=256)
TINY = dict(latent_dim=6, mapping_layers=2)
# Widths from block 1 on: 8, 6, 3, 1 and 5, 5, 2, 1.
NARROWING = dict(max_channels=8, channel_base=48, **TINY)
CAPPED = dict(max_channels=5, channel_base=40, **TINY)
SMALL = StyleGAN2Generator(resolution=16, **NARROWING)
BLOCKS = range(1, SMALL.num_blocks + 1)


@functools.cache
def variables_of(generator):
    return random_variables(functools.partial(generators.init, generator))


@functools.cache
def latents_of(generator, batch=2):
    """Latents in which every layer has a style of its own."""
    variables = variables_of(generator)
    shapes = jax.eval_shape(
        lambda key: generators.sample_latents(generator, variables, key, batch),
        jax.random.key(0),
    )
    return random_like(shapes, seed=1)


def intermediates_of(generator, blocks, batch=2):
    zeros = generators.zero_intermediates(generator, blocks, batch)
    return random_like(zeros, seed=2)


@functools.partial(jax.jit, static_argnums=0)
def render(generator, variables, *inputs):
    return generator.apply(variables, *inputs)


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_parameters_of_the_paper():
    params = jax.eval_shape(lambda key: generators.init(PAPER, key), jax.random.key(0))
    assert count(params) == 10_206_434
    assert count(params["params"]["mapping"]) == 2_101_248
    per_block = [721_409, *[2 * 721_409] * 4, 426_369 + 213_249, 139_457 + 69_761]
    rgb = [132_099] * 5 + [66_051, 33_027]
    for block in range(7):
        modules = [params["params"][f"convs_{block}"]]
        if block > 0:
            modules.append(params["params"][f"up_convs_{block - 1}"])
        assert count(modules) == per_block[block]
        assert count(params["params"][f"to_rgbs_{block}"]) == rgb[block]
    assert params["params"]["constant"].shape == (1, 4, 4, 256)


def test_parameters_start_with_unit_variance():
    generator = StyleGAN2Generator(resolution=8, max_channels=32, latent_dim=32)
    init = jax.jit(functools.partial(generators.init, generator))
    params = init(jax.random.key(0))["params"]
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        name = jax.tree_util.keystr(path)
        if "bias" in name or "noise_strength" in name:
            assert (leaf == ("modulation" in name)).all()
        else:
            expected = 100 if "mapping" in name else 1
            np.testing.assert_allclose(leaf.std(), expected, rtol=0.2)


@pytest.mark.parametrize("resolution", [8, 16, 32])
@pytest.mark.parametrize("channels, widths", [(3, NARROWING), (1, CAPPED)])
def test_images_are_those_of_the_slow_generator(resolution, channels, widths):
    generator = StyleGAN2Generator(resolution, channels, **widths)
    variables, latents = variables_of(generator), latents_of(generator)
    image = render(generator, variables, latents)
    assert image.shape == (2, resolution, resolution, channels)
    assert_close(image, slow.generator(variables, latents))


@pytest.mark.parametrize("blocks", [(2,), (1, 2, 3)])
def test_intermediates_are_added_after_their_block(blocks):
    variables, latents = variables_of(SMALL), latents_of(SMALL)
    intermediates = intermediates_of(SMALL, blocks)
    image = render(SMALL, variables, latents, intermediates)
    assert_close(image, slow.generator(variables, latents, intermediates))
    # ... which is far from not adding them.
    assert not np.allclose(image, slow.generator(variables, latents), atol=0.1)


@functools.partial(jax.jit, static_argnums=0)
def cut(block, variables, latents, intermediates, added):
    """tail(head(z, k, intermediates) + added, z, k)."""
    features = SMALL.apply(variables, latents, block, intermediates, method="head")
    return SMALL.apply(variables, features + added, latents, block, method="tail")


@pytest.mark.parametrize("block", BLOCKS)
def test_cutting_after_any_block_changes_nothing(block):
    variables, latents = variables_of(SMALL), latents_of(SMALL)
    z = intermediates_of(SMALL, tuple(BLOCKS))

    def only(blocks):
        return {k: z_k * (k in blocks) for k, z_k in z.items()}

    # tail(head(z, k), z, k) == G(z)
    image = cut(block, variables, latents, only([]), 0.0)
    assert_close(image, render(SMALL, variables, latents), 1e-5)
    # tail(head(z, k) + z_k, z, k) == G(z, {k: z_k}): head leaves z_k to its caller,
    # whether earlier blocks are perturbed or not.
    for blocks in ([block], range(1, block + 1)):
        intermediates = only(blocks)
        image = cut(block, variables, latents, intermediates, z[block])
        assert_close(image, render(SMALL, variables, latents, intermediates), 1e-5)


def test_head_and_tail_read_disjoint_latents():
    block = 2
    variables, latents = variables_of(SMALL), latents_of(SMALL)

    def head(latents):
        features = SMALL.apply(variables, latents, block, method="head")
        return jnp.sum(jnp.sin(features.activations)), features

    def tail(latents, features):
        image = SMALL.apply(variables, features, latents, block, method="tail")
        return jnp.sum(jnp.sin(image))

    @jax.jit
    def gradients(latents):
        by_head, features = jax.grad(head, has_aux=True)(latents)
        return by_head, jax.grad(tail)(latents, features)

    def reads(gradient):
        return gradient["styles"].any(axis=(0, 2)), [
            noise.any() for noise in gradient["noises"]
        ]

    by_head, by_tail = map(reads, gradients(latents))
    # The activations after block k have passed 2k - 1 convolutions, but no RGB.
    layers = np.arange(2 * SMALL.num_blocks)
    rgb_slot = 2 * block - 1
    np.testing.assert_array_equal(by_head[0], layers < rgb_slot)
    np.testing.assert_array_equal(by_tail[0], layers >= rgb_slot)
    np.testing.assert_array_equal(by_head[1], layers[:-1] < rgb_slot)
    np.testing.assert_array_equal(by_tail[1], layers[:-1] >= rgb_slot)


def test_every_intermediate_input_has_a_gradient():
    variables, latents = variables_of(SMALL), latents_of(SMALL)

    @jax.jit
    @jax.grad
    def gradient(intermediates):
        return jnp.sum(jnp.sin(SMALL.apply(variables, latents, intermediates)))

    zeros = generators.zero_intermediates(SMALL, tuple(BLOCKS), 2)
    for block, z_gradient in gradient(zeros).items():
        assert z_gradient.shape == (2, *SMALL.intermediate_shape(block))
        assert jnp.isfinite(z_gradient).all() and (z_gradient != 0).all()


@pytest.mark.parametrize("block", BLOCKS[:-1])
def test_dropping_the_skip_removes_the_rgb_of_all_blocks_so_far(block):
    variables, latents = variables_of(SMALL), latents_of(SMALL)

    @jax.jit
    def restart(variables, latents):
        features = SMALL.apply(variables, latents, block, method="head").drop_skip()
        return SMALL.apply(variables, features, latents, block, method="tail")

    image = restart(variables, latents)
    assert_close(image, slow.generator(variables, latents, dropped=block))
    assert not np.allclose(image, slow.generator(variables, latents), atol=0.1)


def test_every_layer_gets_the_w_of_the_mapping_network():
    variables = variables_of(SMALL)
    z = jax.random.normal(jax.random.key(0), (3, SMALL.latent_dim))
    styles = jax.jit(lambda z: SMALL.apply(variables, z, method="map_styles"))(z)
    expected = slow.mapping(variables, z)[:, None].repeat(2 * SMALL.num_blocks, axis=1)
    assert_close(styles, expected)


def test_sampled_latents():
    variables = variables_of(SMALL)
    sample = jax.jit(lambda k: generators.sample_latents(SMALL, variables, k, 64))
    latents = sample(jax.random.key(0))
    styles, noises = latents["styles"], latents["noises"]
    assert styles.shape == (64, 6, SMALL.latent_dim)
    assert (styles == styles[:, :1]).all()
    # Images and noise maps are all different, and the maps are N(0, I).
    assert len(np.unique(styles[:, 0], axis=0)) == 64
    for noise in noises:
        assert len(np.unique(noise)) > 0.99 * noise.size
        assert abs(noise.mean()) < 0.1 and abs(noise.std() - 1) < 0.1
    assert abs(np.corrcoef(noises[1].ravel(), noises[2].ravel())[0, 1]) < 0.1


def test_a_map_of_noise_for_every_convolution():
    def sample_noises(key):
        variables = generators.init(PAPER, key)
        return PAPER.apply(variables, key, 2, method="sample_noises")

    noises = jax.eval_shape(sample_noises, jax.random.key(0))
    sizes = [4, 8, 8, 16, 16, 32, 32, 64, 64, 128, 128, 256, 256]
    assert [noise.shape for noise in noises] == [(2, r, r, 1) for r in sizes]


def test_style_mixing_switches_w_once_at_a_random_layer():
    probability = 0.6
    mixing = SMALL.clone(style_mixing=probability)

    @jax.jit
    def sample_styles(key):
        latents = generators.sample_latents(mixing, variables_of(SMALL), key, 400)
        return latents["styles"]

    styles = sample_styles(jax.random.key(0))
    switches = np.asarray((styles[:, 1:] != styles[:, :-1]).any(axis=-1))
    mixed = switches.sum(axis=1)
    assert set(mixed) <= {0, 1}
    assert abs(mixed.mean() - probability) < 0.1
    # Every cut after layers 0, ..., 4 is equally likely.
    np.testing.assert_allclose(switches.mean(axis=0), probability / 5, atol=0.08)


@pytest.mark.parametrize("resolution", [8, 64, 512, 1024])
def test_other_resolutions(resolution):
    generator = StyleGAN2Generator(resolution, channels=1)
    assert 2 ** (generator.num_blocks + 1) == resolution

    def everything(key):
        variables = generators.init(generator, key)
        latents = generators.sample_latents(generator, variables, key, 2)
        last = generator.num_blocks
        return (
            generator.apply(variables, latents),
            generator.apply(variables, latents, last, method="head").activations,
            generators.zero_intermediates(generator, (last,), 2)[last],
        )

    image, features, zeros = jax.eval_shape(everything, jax.random.key(0))
    assert image.shape == (2, resolution, resolution, 1)
    width = min(256, 16_384 // resolution)
    assert features.shape == zeros.shape == (2, resolution, resolution, width)


@pytest.mark.parametrize("blocks", [(0,), (8,), (2, 1), (3, 3), (-1, 2)])
def test_blocks_that_do_not_exist_are_refused(blocks):
    with pytest.raises(UserError, match=r"family.blocks: found \(.*\(1, 2, .*, 7\)"):
        check_blocks(PAPER, blocks, "family.blocks")


@pytest.mark.parametrize("blocks", [(), (1,), (2, 5), (1, 2, 3, 4, 5, 6, 7)])
def test_increasing_blocks_are_accepted(blocks):
    check_blocks(PAPER, blocks, "family.blocks")
