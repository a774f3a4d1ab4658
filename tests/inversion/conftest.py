import functools

import jax
import pytest

from rtil_jax.generators import StyleGAN2Generator, init
from rtil_jax.inversion import Prior, make_problem
from tests.toy_generator import ToyGenerator


@pytest.fixture(scope="session")
def toy_prior():
    generator = ToyGenerator()
    return Prior.of(generator, init(generator, jax.random.key(0)))


@pytest.fixture(scope="session")
def style_prior():
    """A StyleGAN2 of 16 pixels whose every parameter is away from its initial value."""
    generator = StyleGAN2Generator(
        16, channels=1, max_channels=8, latent_dim=12, mapping_layers=2
    )
    variables = init(generator, jax.random.key(0))
    leaves, structure = jax.tree.flatten(variables)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    noisy = [
        x + 0.1 * jax.random.normal(k, x.shape)
        for x, k in zip(leaves, keys, strict=True)
    ]
    return Prior.of(generator, jax.tree.unflatten(structure, noisy))


@pytest.fixture(scope="session")
def sampled_problem():
    """(prior, batch, ratio) -> compressed sensing of samples of the prior itself."""

    def sample(prior, batch, ratio=0.5, problem="compressed_sensing", first=0):
        indices = jax.numpy.arange(first, first + batch)
        images = _samples(prior, first + batch)[first:]
        return make_problem(problem, images, indices, ratio=ratio, seed=0)

    return sample


@functools.partial(jax.jit, static_argnums=1)
def _samples(prior, batch):
    latents = prior.generator.apply(
        prior.variables, jax.random.key(7), batch, method="sample_latents"
    )
    images = prior.generator.apply(prior.variables, latents)
    return 0.4 * images / jax.numpy.std(images)
