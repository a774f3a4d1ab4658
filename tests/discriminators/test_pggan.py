import functools

import jax
import jax.numpy as jnp
import pytest

from rtil_jax.discriminators import PGGANDiscriminator
from tests.references import pggan as slow
from tests.references.stylegan2 import assert_close, random_like, random_variables

SMALL = PGGANDiscriminator(max_channels=6, stddev_group=3)


def images(seed, *shape):
    return random_like(jax.ShapeDtypeStruct(shape, jnp.float32), seed)


@functools.cache
def variables_of(discriminator, *shape):
    return random_variables(lambda key: discriminator.init(key, jnp.zeros(shape)))


@functools.partial(jax.jit, static_argnums=0)
def scores_of(discriminator, variables, x):
    return discriminator.apply(variables, x)


def test_parameters_of_the_paper():
    params = jax.eval_shape(
        lambda key: PGGANDiscriminator().init(key, jnp.zeros((2, 256, 256, 3))),
        jax.random.key(0),
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 6_367_617


@pytest.mark.parametrize(
    "batch, size, channels, group, widths",
    [
        (4, 8, 3, 4, {}),
        (6, 16, 1, 3, {}),
        (6, 16, 1, 2, {}),
        (2, 32, 3, 4, dict(max_channels=100, channel_base=1_280)),
    ],
)
def test_scores_are_those_of_the_slow_discriminator(
    batch, size, channels, group, widths
):
    widths = {"max_channels": 6} | widths
    discriminator = PGGANDiscriminator(stddev_group=group, **widths)
    x = images(0, batch, size, size, channels)
    variables = variables_of(discriminator, *x.shape)
    scores = scores_of(discriminator, variables, x)
    assert scores.shape == (batch,)
    assert_close(scores, slow.discriminator(variables, x, min(group, batch)))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_first_block_fades_in(alpha):
    x = images(0, 6, 16, 16, 1)
    variables = variables_of(SMALL, *x.shape)
    fading = variables | {"growth": {"fade": jnp.float32(alpha)}}
    expected = slow.discriminator(variables, x, 3, fade=alpha)
    assert_close(scores_of(SMALL, fading, x), expected)


def test_smaller_images_are_scored_by_the_same_variables():
    variables = variables_of(SMALL, 6, 16, 16, 1)
    for size in (8, 4):
        x = images(0, 6, size, size, 1)
        expected = slow.discriminator(variables, x, 3)
        assert_close(scores_of(SMALL, variables, x), expected)


def test_scores_depend_on_their_own_group_only():
    x, others = images(0, 6, 8, 8, 1), images(1, 6, 8, 8, 1)
    variables = variables_of(SMALL, *x.shape)
    mixed = jnp.concatenate([x[:3], others[3:]])
    before, after = (scores_of(SMALL, variables, y) for y in (x, mixed))
    assert_close(after[:3], before[:3], 1e-6)
    assert (abs(after - before)[3:] > 1e-3).all()
