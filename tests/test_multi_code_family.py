"""RTIL for mGANprior: g_1(sum_n alpha_n g_0(z^n)) with Dirichlet weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax import generators
from rtil_jax.errors import UserError
from rtil_jax.families import (
    MultiCodeFamily,
    enumerate_members,
    flat_dirichlet,
    share_members,
)
from rtil_jax.generators import PGGANGenerator, StyleGAN2Generator
from tests.references.stylegan2 import assert_close, random_variables

GENERATOR = PGGANGenerator(16, channels=1, max_channels=6, latent_dim=5)
STYLED = StyleGAN2Generator(16, max_channels=6, latent_dim=5, mapping_layers=1)
FAMILY = MultiCodeFamily((1, 2, 4), 2, (1 / 3,) * 3)
MEMBERS = np.array([0, 0, 1, 1, 2])  # 2 + 2 * 2 + 4 codes
FIRST_CODES = np.array([0, 1, 2, 4, 6])


@functools.cache
def variables_of(generator):
    return random_variables(functools.partial(generators.init, generator))


def sample(family, generator, key):
    return _sample(family, generator, variables_of(generator), key)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _sample(family, generator, variables, key):
    return family.sample(generator, variables, key, MEMBERS)


def decode(family, generator, inputs):
    return _decode(family, generator, variables_of(generator), inputs)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _decode(family, generator, variables, inputs):
    return family.decode(generator, variables, inputs)


def test_no_code_is_computed_for_nothing():
    latents, weights = sample(FAMILY, GENERATOR, jax.random.key(0))
    assert latents["z"].shape == (10, 5)
    assert [alpha.shape for alpha in weights] == [(2, 1, 1), (2, 2, 1), (1, 4, 1)]
    for alpha in weights:
        np.testing.assert_allclose(alpha.sum(axis=1), 1, rtol=1e-6)
        assert (alpha > 0).all()


def test_weights_are_uniform_over_the_simplex():
    weights = np.asarray(flat_dirichlet(jax.random.key(0), (20_000, 4)), np.float64)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    # Moments of Dirichlet(1, 1, 1, 1): 1 / N, (N - 1) / (N^2 (N + 1)), and covariance.
    np.testing.assert_allclose(weights.mean(axis=0), 1 / 4, atol=0.005)
    covariance = (np.eye(4) * 4 - 1) / (4**2 * 5)
    np.testing.assert_allclose(np.cov(weights.T), covariance, atol=0.001)
    # One of them alone is Beta(1, 3).
    np.testing.assert_allclose(np.mean(weights[:, 0] < 0.2), 1 - 0.8**3, atol=0.015)


def test_a_draw_of_zero_is_no_division_by_zero(monkeypatch):
    monkeypatch.setattr(jax.random, "exponential", lambda key, *form: jnp.zeros(*form))
    np.testing.assert_array_equal(flat_dirichlet(jax.random.key(0), (3, 1)), 1)
    weights = flat_dirichlet(jax.random.key(0), (3, 4))
    np.testing.assert_allclose(weights, 1 / 4)


@pytest.mark.parametrize("generator", [GENERATOR, STYLED])
@pytest.mark.parametrize("block", [1, 2, 3])
def test_images_are_tails_of_weighted_sums_of_heads(generator, block):
    family = MultiCodeFamily((1, 2, 4), block, FAMILY.weights)
    variables = variables_of(generator)
    latents, weights = sample(family, generator, jax.random.key(0))
    images = decode(family, generator, (latents, weights))
    apply = functools.partial(generator.apply, variables)
    heads = apply(latents, block, method="head")
    alphas = np.concatenate([np.ravel(alpha) for alpha in weights])
    ends = [*FIRST_CODES[1:], 10]
    for i, (start, end) in enumerate(zip(FIRST_CODES, ends, strict=True)):

        def mix(x, rows=slice(start, end)):
            alpha = alphas[rows].reshape(-1, 1, 1, 1)
            return jnp.sum(alpha * x[rows], axis=0, keepdims=True)

        first = jax.tree.map(lambda x, start=start: x[start, None], latents)
        features = jax.tree.map(mix, heads)
        image = apply(features, first, block, method="tail")
        assert_close(images[i], image[0], 1e-5)


@pytest.mark.parametrize("generator", [GENERATOR, STYLED])
def test_one_code_is_the_base_model(generator):
    latents, weights = sample(FAMILY, generator, jax.random.key(0))
    images = decode(FAMILY, generator, (latents, weights))
    base = generator.apply(
        variables_of(generator), jax.tree.map(lambda x: x[:2], latents)
    )
    assert_close(images[:2], base, 1e-5)


def test_an_image_depends_on_its_own_codes_only():
    latents, weights = sample(FAMILY, GENERATOR, jax.random.key(0))
    images = decode(FAMILY, GENERATOR, (latents, weights))
    owners = np.repeat(np.arange(5), [1, 1, 2, 2, 4])
    for code, owner in enumerate(owners):
        z = latents["z"].at[code].add(1.0)
        changed = decode(FAMILY, GENERATOR, ({"z": z}, weights))
        differs = np.any(np.abs(changed - images) > 1e-4, axis=(1, 2, 3))
        np.testing.assert_array_equal(np.flatnonzero(differs), [owner])


SHARES = [
    ((1 / 3,) * 3, 16, 4, [2, 1, 1]),
    ((1 / 3,) * 3, 6, 2, [1, 1, 1]),
    ((1 / 3,) * 3, 32, 4, [3, 3, 2]),
    ((0.5, 0.25, 0.25), 32, 4, [4, 2, 2]),
    ((0.8, 0.1, 0.1), 12, 4, [1, 1, 1]),
    ((0.0, 1.0), 8, 4, [0, 2]),
    ((1.0,), 6, 3, [2]),
]


@pytest.mark.parametrize("weights, batch, group, counts", SHARES)
def test_every_member_has_its_share_of_the_groups(weights, batch, group, counts):
    members, each = share_members(weights, batch, group)
    np.testing.assert_array_equal(
        members, np.repeat([0, 1, 2], np.resize(np.array([*counts, 0, 0]), 3) * group)
    )
    # Whatever rounding did to the counts, the weights in the loss are exact.
    totals = np.bincount(members, each, minlength=len(weights))
    np.testing.assert_allclose(totals, weights, rtol=1e-6)


def test_the_cost_is_that_of_the_mean_member():
    for batch, group in ((32, 4), (16, 4), (8, 2), (6, 2)):
        members, _ = share_members((1 / 3,) * 3, batch, group)
        codes = np.array([1, 10, 20])[members]
        assert codes.mean() <= 31 / 3
        enumerated, _ = enumerate_members((1 / 3,) * 3, batch)
        assert len(enumerated) == 3 * batch


def test_fewer_groups_than_members():
    with pytest.raises(UserError, match="found 8 images in 2 groups of 4, expected at"):
        share_members((1 / 3,) * 3, 8, 4)
