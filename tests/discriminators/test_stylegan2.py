import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.discriminators import StyleGAN2Discriminator, stddev_group_size
from rtil_jax.discriminators.minibatch_stddev import minibatch_stddev
from tests.references import stylegan2 as slow
from tests.references.stylegan2 import assert_close, random_variables

GROUP_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 1, 6: 3, 7: 1, 8: 4, 9: 3, 10: 2, 12: 4}
# Widths at 4, 8, 16, 32 pixels: 8, 6, 3, 1 and 5, 5, 2, 1.
NARROWING = dict(max_channels=8, channel_base=48)
CAPPED = dict(max_channels=5, channel_base=40)


def images(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def variables_of(discriminator, shape):
    return random_variables(lambda key: discriminator.init(key, jnp.zeros(shape)))


@functools.partial(jax.jit, static_argnums=0)
def logits_of(discriminator, variables, x):
    return discriminator.apply(variables, x)


def test_parameters_of_the_paper():
    params = jax.eval_shape(
        lambda key: StyleGAN2Discriminator().init(key, jnp.zeros((1, 256, 256, 3))),
        jax.random.key(0),
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 7_219_009


@pytest.mark.parametrize(
    "batch, resolution, channels, widths",
    [
        (1, 8, 3, NARROWING),
        (4, 8, 1, CAPPED),
        (6, 16, 3, NARROWING),
        (2, 32, 1, CAPPED),
        (8, 32, 3, NARROWING),
    ],
)
def test_logits_are_those_of_the_slow_discriminator(
    batch, resolution, channels, widths
):
    discriminator = StyleGAN2Discriminator(**widths)
    x = images(0, batch, resolution, resolution, channels)
    variables = variables_of(discriminator, x.shape)
    logits = logits_of(discriminator, variables, x)
    assert logits.shape == (batch,)
    assert_close(logits, slow.discriminator(variables, x, GROUP_SIZES[batch]))


def test_group_sizes():
    sizes = {batch: stddev_group_size(batch) for batch in GROUP_SIZES}
    assert sizes == GROUP_SIZES


@pytest.mark.parametrize("batch", [1, 4, 6, 8])
def test_minibatch_stddev_is_the_slow_one(batch):
    x = images(0, batch, 3, 5, 2)
    expected = slow.append_stddev(np.asarray(x, np.float64), GROUP_SIZES[batch])
    assert_close(jax.jit(minibatch_stddev)(x), expected)


def test_identical_images_have_no_deviation():
    x = jnp.repeat(images(0, 2, 4, 4, 3), 4, axis=0)
    np.testing.assert_allclose(jax.jit(minibatch_stddev)(x)[..., -1], 1e-4, rtol=0.1)


def test_logits_depend_on_their_own_group_only():
    batch, size = 6, 3
    discriminator = StyleGAN2Discriminator(**CAPPED)
    x, others = images(0, batch, 8, 8, 1), images(1, batch, 8, 8, 1)
    variables = variables_of(discriminator, x.shape)
    mixed = jnp.concatenate([x[:size], others[size:]])
    before, after = (logits_of(discriminator, variables, y) for y in (x, mixed))
    assert_close(after[:size], before[:size], 1e-6)
    # Within the group, one other image is enough to change all logits.
    mixed = x.at[0].set(others[0])
    after = logits_of(discriminator, variables, mixed)
    assert (abs(after - before)[:size] > 1e-3).all()
    assert_close(after[size:], before[size:], 1e-6)
