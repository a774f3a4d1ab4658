"""Forward mode goes through every network: <y, J v> = <J^T y, v>."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from rtil_jax import generators
from rtil_jax.discriminators import PGGANDiscriminator, StyleGAN2Discriminator
from tests.references.stylegan2 import random_like, random_variables

PGGAN = functools.partial(
    generators.PGGANGenerator, resolution=8, channels=1, widths=(3, 2), latent_dim=4
)
GENERATORS = {
    "StyleGAN2": generators.StyleGAN2Generator(
        8, channels=1, max_channels=3, latent_dim=4, mapping_layers=1
    ),
    "PGGAN": PGGAN(),
    "official PGGAN": PGGAN(layout="official"),
    "DCGAN": generators.DCGANGenerator(8, channels=1, base_channels=2, latent_dim=4),
    "sequential": generators.SequentialGenerator(
        (nn.Dense(16), nn.ConvTranspose(1, (4, 4), (2, 2))),
        ((4, 4, 1), (8, 8, 1)),
        latent_dim=4,
    ),
    "linear": generators.LinearGenerator(
        resolution=4, channels=1, latent_dim=5, num_features=6
    ),
}
DISCRIMINATORS = {
    "StyleGAN2": StyleGAN2Discriminator(widths=(3, 2)),
    "PGGAN": PGGANDiscriminator(widths=(3, 2)),
}


def inner(a, b):
    return sum(map(jnp.vdot, jax.tree.leaves(a), jax.tree.leaves(b)))


def assert_derivatives_agree(f, at):
    """At `at` in a random direction, of `f` from a tree to an array."""
    direction = random_like(at, seed=2)

    @jax.jit
    def slopes(at, direction):
        y, pullback = jax.vjp(f, at)
        _, along = jax.jvp(f, (at,), (direction,))
        return jnp.vdot(y, along), inner(pullback(y)[0], direction)

    forward, reverse = slopes(at, direction)
    assert abs(reverse) > 1e-3
    np.testing.assert_allclose(forward, reverse, rtol=2e-4)


@pytest.mark.parametrize("name", GENERATORS)
def test_generators(name):
    """With respect to latents, features after block 1 and variables together."""
    generator = GENERATORS[name]
    variables = random_variables(functools.partial(generators.init, generator))

    def inputs(key):
        latents = generators.sample_latents(generator, variables, key, 2)
        return latents, generators.zero_intermediates(generator, (1,), 2)

    inputs = random_like(jax.eval_shape(inputs, jax.random.key(0)), seed=1)
    assert_derivatives_agree(lambda at: generator.apply(*at), (variables, *inputs))


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminators(name):
    discriminator, images = DISCRIMINATORS[name], jnp.zeros((2, 8, 8, 1))
    variables = random_variables(lambda key: discriminator.init(key, images))
    images = random_like(images, seed=1)
    assert_derivatives_agree(lambda at: discriminator.apply(*at), (variables, images))
