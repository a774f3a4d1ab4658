import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax import generators
from rtil_jax.generators import PGGANGenerator, mix_codes
from tests.references import pggan as slow
from tests.references.stylegan2 import assert_close, random_like, random_variables

PAPER = PGGANGenerator(resolution=256)
SMALL = PGGANGenerator(resolution=16, channels=1, max_channels=6, latent_dim=5)
BLOCKS = range(1, SMALL.num_blocks + 1)
FADE = {"growth": {"fade": jnp.float32(0.3)}}
Z = random_like(jax.ShapeDtypeStruct((6, 5), jnp.float32), seed=1)


@functools.cache
def variables_of(generator):
    return random_variables(functools.partial(generators.init, generator))


@functools.partial(jax.jit, static_argnums=(0, 3), static_argnames="method")
def apply(generator, variables, inputs, block=None, method=None):
    inputs = (*inputs, block) if block else inputs
    return generator.apply(variables, *inputs, method=method)


def head(variables, z, block, generator=SMALL):
    return apply(generator, variables, ({"z": z},), block, method="head")


def tail(variables, features, block, generator=SMALL):
    return apply(generator, variables, (features, {"z": Z}), block, method="tail")


def image(variables, z, generator=SMALL, intermediates=None):
    inputs = ({"z": z}, intermediates) if intermediates else ({"z": z},)
    return apply(generator, variables, inputs)


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_parameters_of_the_paper():
    params = jax.eval_shape(lambda key: generators.init(PAPER, key), jax.random.key(0))
    params = params["params"]
    assert count(params) == 7_449_109
    heads = {name: tree for name, tree in params.items() if "to_rgb" in name}
    assert [count(heads[f"to_rgbs_{k}"]) for k in range(7)] == [771] * 4 + [
        387,
        195,
        195,
    ]
    active = count(params) - count(heads) + count(heads["to_rgbs_6"])
    assert active == 7_445_443
    widths = [PAPER.intermediate_shape(block)[-1] for block in range(1, 8)]
    assert widths == [256, 256, 256, 256, 128, 64, 64]
    assert params["code"]["kernel"].shape == (512, 4, 4, 256)


@pytest.mark.parametrize(
    "resolution, channels, widths",
    [(8, 3, {}), (16, 1, {}), (32, 3, dict(max_channels=100, channel_base=1_280))],
)
def test_images_are_those_of_the_slow_generator(resolution, channels, widths):
    widths = {"max_channels": 6} | widths
    generator = PGGANGenerator(resolution, channels, latent_dim=5, **widths)
    last, variables = generator.num_blocks, variables_of(generator)
    features = slow.features(variables, Z, last)
    assert features.shape[1:] == generator.intermediate_shape(last)
    images = image(variables, Z, generator)
    assert images.shape == (6, resolution, resolution, channels)
    assert_close(images, slow.image(variables, features, last))


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("fading", [False, True])
def test_the_law_of_heads_and_tails(block, fading):
    variables = variables_of(SMALL) | (FADE if fading else {})
    features = head(variables, Z, block)
    assert_close(tail(variables, features, block), image(variables, Z), 1e-6)
    z_k = random_like(
        jax.ShapeDtypeStruct((6, *SMALL.intermediate_shape(block)), jnp.float32), 2
    )
    extended = image(variables, Z, intermediates={block: z_k})
    assert_close(tail(variables, features + z_k, block), extended, 1e-6)
    assert (abs(extended - image(variables, Z)) > 1e-3).any()


@pytest.mark.parametrize("block", BLOCKS)
def test_a_weighted_sum_of_codes_is_that_of_the_slow_generator(block):
    """Two images of three codes each, every channel with a weight of its own."""
    variables = variables_of(SMALL)
    channels = SMALL.intermediate_shape(block)[-1]
    weights = random_like(jax.ShapeDtypeStruct((2, 3, channels), jnp.float32), 3)
    mixed = mix_codes(head(variables, Z, block), weights)
    expected = slow.features(variables, Z, block).reshape(2, 3, *mixed.shape[1:])
    expected = np.einsum("bnhwc,bnc->bhwc", expected, np.asarray(weights, np.float64))
    assert_close(mixed, expected)
    if block == SMALL.num_blocks:
        assert_close(tail(variables, mixed, block), slow.image(variables, expected, 3))


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("fading", [False, True])
def test_one_code_of_weight_one_is_the_generator_itself(block, fading):
    variables = variables_of(SMALL) | (FADE if fading else {})
    mixed = mix_codes(head(variables, Z, block), jnp.ones((6, 1, 1)))
    assert_close(tail(variables, mixed, block), image(variables, Z), 1e-6)


def test_a_smaller_generator_is_the_beginning_of_a_larger_one():
    variables = variables_of(SMALL)
    small = image(variables, Z, SMALL.clone(resolution=8))
    assert_close(small, slow.image(variables, slow.features(variables, Z, 2), 2))
    (four,) = jax.tree.leaves(image(variables, Z, SMALL.clone(resolution=4)))
    assert four.shape == (6, 4, 4, 1)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_newest_block_fades_in(alpha):
    variables = variables_of(SMALL)
    fading = variables | {"growth": {"fade": jnp.float32(alpha)}}
    old = slow.resize(slow.image(variables, slow.features(variables, Z, 2), 2), 16)
    new = slow.image(variables, slow.features(variables, Z, 3), 3)
    assert_close(image(fading, Z), alpha * new + (1 - alpha) * old)


def test_codes_are_normal_and_not_put_on_a_sphere():
    (z,) = SMALL.sample_latents(jax.random.key(0), 4_000).values()
    assert z.shape == (4_000, 5)
    np.testing.assert_allclose(jnp.mean(z, axis=0), 0, atol=0.08)
    np.testing.assert_allclose(jnp.mean(z**2, axis=0), 1, atol=0.15)
    assert jnp.std(jnp.linalg.norm(z, axis=1)) > 0.5
