"""Training in bfloat16: near float32, and its state is that of float32."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from rtil_jax.discriminators import StyleGAN2Discriminator
from rtil_jax.experiments.training.training_workdir import check_workdir, record_config
from rtil_jax.families import AdditiveFamily
from rtil_jax.generators import StyleGAN2Generator
from rtil_jax.training import stylegan2
from rtil_jax.training.stylegan2 import StyleGAN2Recipe
from tests.test_activations import error
from tests.training.tiny_run import tiny_run

SIZE = dict(channels=1, max_channels=4, latent_dim=4, mapping_layers=1)
EXACT = StyleGAN2Recipe(
    generator=StyleGAN2Generator(16, **SIZE),
    discriminator=StyleGAN2Discriminator(4),
    family=AdditiveFamily((), 1.0, (1.0,)),
    enumerate_family=False,
    batch_size=4,
)
NARROW = dataclasses.replace(
    EXACT,
    generator=EXACT.generator.clone(precision="bfloat16"),
    discriminator=EXACT.discriminator.clone(precision="bfloat16"),
)


def drawn_state():
    """Networks of Gaussian weights, and optimisers that have seen nothing."""
    random = np.random.default_rng(0)
    state = jax.tree.map(
        lambda x: jnp.zeros(x.shape, x.dtype),
        jax.eval_shape(EXACT.fresh_state, jax.random.key(0)),
    )
    generator, discriminator = (
        jax.tree.map(lambda x: jnp.asarray(random.normal(size=x.shape), x.dtype), tree)
        for tree in (state.generator, state.discriminator)
    )
    return dataclasses.replace(state, generator=generator, discriminator=discriminator)


def test_a_step_in_bfloat16_is_near_one_in_float32():
    """Of the discriminator, which reads the generator's images."""
    key = jax.random.key(1)
    images = jax.random.normal(key, (4, 16, 16, 1))
    (state, metrics), (expected, wanted) = (
        stylegan2.jit_discriminator(recipe, drawn_state(), images, key)
        for recipe in (NARROW, EXACT)
    )
    kinds = (jax.tree.map(lambda x: x.dtype, tree) for tree in (state, expected))
    assert next(kinds) == next(kinds)
    assert 1e-5 < error(metrics, wanted) < 0.02
    # Without momentum, Adam's first moment is the gradient.
    gradients = (x.discriminator_optimizer[0].mu for x in (state, expected))
    assert error(*gradients) < 0.05


def test_a_run_may_be_continued_in_the_other_precision(images, tmp_path):
    record_config(tiny_run(images, precision="bfloat16"), str(tmp_path), {})
    check_workdir(tiny_run(images), str(tmp_path))
