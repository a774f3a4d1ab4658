"""G~(z_0, z_1) = W_1 (W_0 z_0 + z_1), with the interface of every generator."""

import jax
import numpy as np
import pytest

from rtil_jax.generators import Generator, LinearGenerator, init, sample_latents

GENERATOR = LinearGenerator(resolution=6, channels=2, latent_dim=30, num_features=50)
VARIABLES = init(GENERATOR, jax.random.key(0))
W0, W1 = (np.asarray(VARIABLES["params"][name], np.float64) for name in ("W0", "W1"))
LATENTS = sample_latents(GENERATOR, VARIABLES, jax.random.key(1), 4)


def perturbation(block):
    shape = (4, *GENERATOR.intermediate_shape(block))
    return jax.random.normal(jax.random.key(block + 1), shape)


def apply(*inputs, **options):
    return GENERATOR.apply(VARIABLES, *inputs, **options)


def test_it_has_the_interface():
    assert isinstance(GENERATOR, Generator)
    assert (W0.shape, W1.shape) == ((50, 30), (72, 50))
    assert GENERATOR.intermediate_shape(1) == (1, 1, 50)
    assert GENERATOR.intermediate_shape(2) == apply(LATENTS).shape[1:] == (6, 6, 2)


def test_it_is_the_product_of_its_matrices():
    z0, z1 = np.asarray(LATENTS["z"]), np.asarray(perturbation(1)).reshape(4, 50)
    images = apply(LATENTS, {1: perturbation(1)})
    expected = [W1 @ (W0 @ a + b) for a, b in zip(z0, z1, strict=True)]
    np.testing.assert_allclose(images.reshape(4, 72), expected, atol=1e-5)
    base = [W1 @ W0 @ a for a in z0]
    np.testing.assert_allclose(apply(LATENTS).reshape(4, 72), base, atol=1e-5)
    assert np.abs(np.subtract(expected, base)).min(axis=1).max() > 1e-3


@pytest.mark.parametrize("block", [1, 2])
def test_it_can_be_cut_after_each_block(block):
    features, z_k = apply(LATENTS, block, method="head"), perturbation(block)
    whole = apply(features, LATENTS, block, method="tail")
    np.testing.assert_allclose(whole, apply(LATENTS), atol=1e-6)
    moved = apply(features + z_k, LATENTS, block, method="tail")
    np.testing.assert_allclose(moved, apply(LATENTS, {block: z_k}), atol=1e-6)
    assert np.abs(moved - whole).max() > 0.1


def test_perturbations_of_both_blocks_add():
    z_1, z_2 = perturbation(1), perturbation(2)
    both = apply(LATENTS, {1: z_1, 2: z_2})
    np.testing.assert_allclose(both, apply(LATENTS, {1: z_1}) + z_2, atol=1e-6)
    features = apply(LATENTS, 2, {1: z_1}, method="head")
    np.testing.assert_allclose(features, apply(LATENTS, {1: z_1}), atol=1e-6)


def test_the_weights_keep_the_scale_of_their_inputs():
    assert W0.std() == pytest.approx(30**-0.5, rel=0.1)
    assert W1.std() == pytest.approx(50**-0.5, rel=0.1)
