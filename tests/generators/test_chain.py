"""A chain of a user's own: three hooks, and every cut and input is there."""

import jax
import numpy as np
import pytest
from flax import linen as nn

from rtil_jax.devices import data_mesh
from rtil_jax.generators import (
    BlockChain,
    DCGANGenerator,
    Generator,
    LinearGenerator,
    PGGANGenerator,
    SequentialGenerator,
    StyleGAN2Generator,
    init,
)
from rtil_jax.inversion import Prior
from rtil_jax.inversion.at_once import STEPS_AT_ONCE, steps_at_once
from tests.toy_generator import ToyGenerator


class Powers(BlockChain):
    """Pixels z, (z + z_1)^2 + u, ((z + z_1)^2 + u + z_2)^2 + u; a head that doubles."""

    resolution: int = 4
    channels: int = 1
    num_blocks: int = 3

    def intermediate_shape(self, block):
        return (4, 4, 1)

    def sample_latents(self, key, batch):
        z, u = jax.random.normal(key, (2, batch, 4, 4, 1))
        return {"z": z, "u": u}

    def first(self, latents):
        return latents["z"]

    def advance(self, features, latents, block):
        return features**2 + latents["u"]

    def to_image(self, features, latents):
        return 2 * features


def test_a_chain_of_three_hooks_is_a_generator_that_keeps_the_laws():
    generator = Powers()
    assert isinstance(generator, Generator)
    apply, keys = generator.bind({}), jax.random.split(jax.random.key(0), 4)
    latents = generator.sample_latents(keys[0], 2)
    z = {k: jax.random.normal(keys[k], (2, 4, 4, 1)) for k in (1, 2, 3)}
    expected = ((latents["z"] + z[1]) ** 2 + latents["u"] + z[2]) ** 2 + latents["u"]
    np.testing.assert_allclose(apply(latents, z), 2 * (expected + z[3]), rtol=1e-4)
    for block in z:
        features = apply.head(latents, block, z)
        earlier = {k: z_k for k, z_k in z.items() if k < block}
        for moved, given in (
            (features, earlier),
            (features + z[block], earlier | {block: z[block]}),
        ):
            image = apply.tail(moved, latents, block)
            np.testing.assert_allclose(image, apply(latents, given), rtol=1e-4)


def chain(*blocks):
    shapes = ((1, 1, 16), (4, 4, 1), (8, 8, 1))
    return SequentialGenerator(blocks, shapes, latent_dim=4)


SLOW = chain(nn.Dense(16), nn.Dense(16), nn.ConvTranspose(1, (4, 4), (2, 2)))


@pytest.mark.parametrize(
    "generator, steps",
    [
        (StyleGAN2Generator(8, max_channels=4, latent_dim=4, mapping_layers=1), 10),
        (PGGANGenerator(8, max_channels=4, latent_dim=4), 10),
        (PGGANGenerator(8, max_channels=4, latent_dim=4, layout="official"), 10),
        (DCGANGenerator(8, base_channels=2, latent_dim=4), 10),
        (LinearGenerator(4, latent_dim=3, num_features=5), 10),
        (Powers(), 10),
        (ToyGenerator(), 10),
        (chain(nn.Dense(16), nn.Dense(16), nn.Dense(64)), 10),
        (SLOW, 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_convolutions_that_are_slow_in_a_loop_keep_a_step_per_call(
    generator, steps
):
    assert STEPS_AT_ONCE == 10
    variables = jax.eval_shape(lambda: init(generator, jax.random.key(0)))
    prior = Prior(generator, variables)
    assert steps_at_once(prior, data_mesh(1)) == steps
