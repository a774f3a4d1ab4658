import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from jax.flatten_util import ravel_pytree

from rtil_jax import generators
from rtil_jax.discriminators.minibatch_stddev import minibatch_stddev
from rtil_jax.families import (
    AdditiveFamily,
    Family,
    MultiCodeFamily,
    choose_members,
    draw_members,
    enumerate_members,
    family_loss,
    member_weights,
)
from rtil_jax.training.state import TrainState
from rtil_jax.training.stylegan2 import (
    StyleGAN2Recipe,
    discriminator_step,
    generator_step,
)
from tests.references.stylegan2 import random_like, random_variables


class TinyGenerator(nn.Module):
    """Two linear blocks: one pixel W_2 tanh(W_1 z_0 + z_1) + z_2 of two channels.

    Attributes:
        chance: if not, nothing is left to chance but the choice of members: the n-th
            image of each group of `group_size` has always the same z_0, and an
            intermediate input counts as 1 wherever it is not 0.
    """

    chance: bool = True
    group_size: int = 1
    resolution: int = 1
    channels: int = 2
    num_blocks: int = 2

    def setup(self):
        self.layers = [nn.Dense(3), nn.Dense(2)]

    def intermediate_shape(self, block):
        return (1, 1, (3, 2)[block - 1])

    def sample_latents(self, key, batch):
        if self.chance:
            return jax.random.normal(key, (batch, 1, 1, 2))
        return jnp.resize(jnp.linspace(-1, 1, 2 * self.group_size), (batch, 1, 1, 2))

    def head(self, latents, block, intermediates=None):
        x = self.layers[0](latents)
        if block == 1:
            return x
        if intermediates and 1 in intermediates:
            x = x + intermediates[1]
        return self.layers[1](jnp.tanh(x))

    def tail(self, features, latents, block):
        return self.layers[1](jnp.tanh(features)) if block == 1 else features

    def __call__(self, latents, intermediates=None):
        added = intermediates or {}
        if not self.chance:
            added = {k: jnp.where(z_k == 0, 0.0, 1.0) for k, z_k in added.items()}
        features = self.head(latents, 2, added)
        return features + added[2] if 2 in added else features


class TinyDiscriminator(nn.Module):
    """Sees how much the images of a group differ."""

    @nn.compact
    def __call__(self, images):
        x = jnp.tanh(nn.Dense(4)(minibatch_stddev(images)))
        return nn.Dense(1)(x)[:, 0, 0, 0]


GENERATOR = TinyGenerator()
PARAMS = random_variables(functools.partial(generators.init, GENERATOR))
SIGMA = 1.5
THREE = AdditiveFamily(blocks=(1, 2), sigma=SIGMA, weights=(0.5, 0.25, 0.25))
THREE_BY_PAPER = AdditiveFamily((1, 2), SIGMA, member_weights(3, "paper", 0.7))


@functools.partial(jax.jit, static_argnums=0)
def sample(family, key, members):
    """(z_0, {k: z_k}, images)."""
    inputs = family.sample(GENERATOR, PARAMS, key, members)
    return *inputs, family.decode(GENERATOR, PARAMS, inputs)


@jax.jit
def render(z, intermediates):
    return GENERATOR.apply(PARAMS, z, intermediates)


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def draw_often(key, times, weights, batch, group_size):
    keys = jax.random.split(key, times)
    return jax.vmap(lambda key: draw_members(key, weights, batch, group_size))(keys)


def test_vanilla_training_is_the_family_of_one_member():
    vanilla = AdditiveFamily(blocks=(), sigma=1.0, weights=member_weights(1, "paper"))
    assert vanilla.num_members == 1 and vanilla.weights == (1.0,)
    for members, weights in (
        draw_members(jax.random.key(0), vanilla.weights, 8, 4),
        enumerate_members(vanilla.weights, 8),
    ):
        np.testing.assert_array_equal(members, np.zeros(8))
        np.testing.assert_allclose(weights, np.full(8, 1 / 8))
    z, intermediates, images = sample(vanilla, jax.random.key(1), members)
    assert intermediates == {}
    np.testing.assert_allclose(images, render(z, None), rtol=1e-5)


@pytest.mark.parametrize("blocks", [(1, 2), (2,)])
def test_member_k_perturbs_the_first_k_blocks(blocks):
    count = len(blocks) + 1
    family = AdditiveFamily(blocks, SIGMA, (1 / count,) * count)
    assert family.num_members == count
    members = jnp.arange(1000) % count
    _, intermediates, _ = sample(family, jax.random.key(0), members)
    assert tuple(intermediates) == blocks
    for site, block in enumerate(blocks):
        z_k = intermediates[block]
        assert z_k.shape == (1000, *GENERATOR.intermediate_shape(block))
        perturbed = np.asarray(members >= site + 1)
        assert (z_k[perturbed] != 0).all() and (z_k[~perturbed] == 0).all()
        np.testing.assert_allclose(z_k[perturbed].std(), SIGMA, rtol=0.1)
        assert abs(z_k[perturbed].mean()) < 0.2


IN_FEATURES = dataclasses.replace(THREE, sigma_units="features")


def test_sigma_in_units_of_the_features_of_g():
    """z_k is sigma times the rms of G's features, over images of all members."""
    members, key = jnp.array([0, 1, 2, 2]), jax.random.key(0)
    z, absolute, _ = sample(THREE, key, members)
    same_z, relative, _ = sample(IN_FEATURES, key, members)
    np.testing.assert_array_equal(same_z, z)
    for block in (1, 2):
        features = GENERATOR.apply(PARAMS, z, block, method="head")
        rms = np.sqrt(np.mean(np.square(features)))
        np.testing.assert_allclose(relative[block], rms * absolute[block], rtol=1e-5)
        assert (relative[block][members < block] == 0).all()
    # Features twice as large get twice the noise. Those after block 1 are linear in
    # its weights.
    first, second = PARAMS["params"]["layers_0"], PARAMS["params"]["layers_1"]
    twice = {"layers_0": jax.tree.map(lambda x: 2 * x, first), "layers_1": second}
    _, doubled = IN_FEATURES.sample(GENERATOR, {"params": twice}, key, members)
    np.testing.assert_allclose(doubled[1], 2 * relative[1], rtol=1e-5)


def test_the_rms_of_the_features_is_a_constant_to_the_gradient():
    def loss(params, family, inputs=None):
        members, key = jnp.array([0, 1, 2, 2]), jax.random.key(0)
        inputs = inputs or family.sample(GENERATOR, params, key, members)
        return jnp.sum(family.decode(GENERATOR, params, inputs) ** 2), inputs

    grads, inputs = jax.grad(loss, has_aux=True)(PARAMS, IN_FEATURES)
    fixed, _ = jax.grad(loss, has_aux=True)(PARAMS, IN_FEATURES, inputs)
    jax.tree.map(np.testing.assert_array_equal, grads, fixed)


def test_perturbations_are_independent():
    members = jnp.full(2000, 2)
    z, intermediates, _ = sample(THREE, jax.random.key(0), members)
    columns = [x.reshape(2000, -1) for x in (z, intermediates[1], intermediates[2])]
    correlations = np.corrcoef(np.concatenate(columns, axis=1).T)
    assert abs(correlations - np.eye(7)).max() < 0.1


def test_members_differ_only_in_what_they_use():
    members = jnp.full(10, 2)
    z, intermediates, _ = sample(THREE, jax.random.key(0), members)
    others, fewer, _ = sample(THREE, jax.random.key(0), members - 1)
    np.testing.assert_array_equal(others, z)
    np.testing.assert_array_equal(fewer[1], intermediates[1])


def test_decoding_is_the_extended_generator():
    z, intermediates, images = sample(THREE, jax.random.key(0), jnp.arange(3))
    for member in range(3):
        used = {k: intermediates[k][member, None] for k in range(1, member + 1)}
        image = render(z[member, None], used)[0]
        np.testing.assert_allclose(images[member], image, rtol=1e-5)


def test_weights_of_equation_2_and_of_the_public_code():
    assert member_weights(5, "paper") == (0.5, 0.125, 0.125, 0.125, 0.125)
    assert member_weights(3, "paper", base_weight=0.8) == pytest.approx((0.8, 0.1, 0.1))
    assert member_weights(5, "uniform") == (0.2,) * 5
    assert member_weights(2, "uniform", base_weight=0.9) == (0.5, 0.5)


def log_score(images):
    """log(1 - D) of a D that compares the images of its minibatch."""
    x = jnp.sum(images, axis=(1, 2, 3))
    return -jax.nn.softplus(x - jnp.mean(x))


def test_equation_2_is_the_weighted_sum_over_members():
    """lambda E log(1 - D(G)) + (1 - lambda) / K sum_k E log(1 - D(G^k))."""
    weights, key = member_weights(3, "paper", 0.7), jax.random.key(0)
    members, shares = choose_members(THREE_BY_PAPER, key, 4, 2, enumerated=True)
    images = jax.random.normal(key, (3, 4, 1, 1, 2))
    means = [jnp.mean(log_score(of_member)) for of_member in images]
    expected = 0.7 * means[0] + 0.15 * (means[1] + means[2])
    found = family_loss(log_score, images, shares)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert THREE_BY_PAPER.weights == weights and shares.shape == (3, 4)
    assert members.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    # Of images that vary with the member alone, shares of a batch have the same loss.
    family = MultiCodeFamily((1, 2, 3), 2, weights)
    values = jnp.array([0.5, -1.0, 2.0])
    for enumerated in (True, False):
        members, shares = choose_members(family, None, 12, 4, enumerated)
        alike = values[members].reshape(*shares.shape, 1, 1, 1)
        found = family_loss(lambda x: {"sum": x[:, 0, 0, 0]}, alike, shares)
        np.testing.assert_allclose(found["sum"], np.dot(weights, values), rtol=1e-6)


def test_what_belongs_to_a_minibatch_goes_with_it():
    images, offsets = jnp.zeros((2, 3, 1, 1, 1)), jnp.array([1.0, 5.0])
    shares = jnp.full((2, 3), 1 / 6)
    added = family_loss(lambda x, o: x[:, 0, 0, 0] + o, images, shares, offsets)
    np.testing.assert_allclose(added, 3.0, rtol=1e-6)


@pytest.mark.parametrize("family", [THREE, MultiCodeFamily((1, 2), 1, (0.5, 0.5))])
def test_both_families_keep_the_protocol(family):
    assert isinstance(family, Family)
    members, shares = family.choose(jax.random.key(0), 8, 4)
    assert members.shape == shares.shape == (8,)
    assert float(shares.sum()) == pytest.approx(1)


WEIGHTS = [(0.5, 0.125, 0.125, 0.125, 0.125), (0.2,) * 5, (0.7, 0.3), (1.0,)]


@pytest.mark.parametrize("weights", WEIGHTS)
def test_enumerated_members_have_exactly_their_weight(weights):
    members, shares = enumerate_members(weights, 6)
    assert (np.bincount(members) == 6).all()
    np.testing.assert_allclose(np.bincount(members, shares), weights, rtol=1e-6)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("batch, group_size", [(6, 3), (8, 1)])
def test_drawn_members(weights, batch, group_size):
    times, groups = 4000, batch // group_size
    members, shares = draw_often(jax.random.key(0), times, weights, batch, group_size)
    # A group has one member.
    by_group = np.asarray(members).reshape(times, groups, group_size)
    assert (by_group == by_group[:, :, :1]).all()
    # Stratified: each draw has each member as often as its weight says, up to one.
    one_hot = by_group[:, :, 0, None] == np.arange(len(weights))
    counts = one_hot.sum(axis=1)
    assert (abs(counts - groups * np.array(weights)) < 1 + 1e-5).all()
    # Unbiased: in expectation, each has exactly its weight in the loss.
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
    totals = np.where(one_hot, shares.reshape(times, groups, -1, 1).sum(axis=2), 0)
    error = 4 * 0.5 / groups / np.sqrt(times)  # 4 standard errors: counts vary by one
    np.testing.assert_allclose(totals.sum(axis=1).mean(axis=0), weights, atol=error)


class SGDRecipe(StyleGAN2Recipe):
    """A step of it moves the weights by minus the gradient."""

    def optimizers(self):
        return optax.sgd(1.0), optax.sgd(1.0)


def losses_and_gradients(family, batch, generator, enumerate_family):
    """key -> what one training step computes: both losses, and their gradients."""
    recipe = SGDRecipe(
        generator,
        TinyDiscriminator(),
        family,
        enumerate_family,
        batch_size=batch,
        learning_rate=0.0,
        r1_weight=0.0,
        r1_every=0,
        path_weight=0.0,
        path_every=0,
        path_batch_shrink=1,
        ema_decay=0.0,
    )
    images = random_like(jax.ShapeDtypeStruct((batch, 1, 1, 2), jnp.float32), 0)
    g_params = random_variables(functools.partial(generators.init, generator), 1)
    d_params = random_variables(lambda key: recipe.discriminator.init(key, images), 2)
    g_optimizer, d_optimizer = recipe.optimizers()
    state = TrainState(
        step=jnp.zeros((), int),
        generator=g_params,
        discriminator=d_params,
        generator_optimizer=g_optimizer.init(g_params),
        discriminator_optimizer=d_optimizer.init(d_params),
        ema=g_params,
        path_means=jnp.zeros(family.num_members),
    )

    def evaluate(key):
        after_d, d_metrics = discriminator_step(recipe, state, images, key)
        after_g, g_metrics = generator_step(recipe, state, key)
        moved = jax.tree.map(
            jnp.subtract,
            (state.discriminator, state.generator),
            (after_d.discriminator, after_g.generator),
        )
        values = d_metrics["d_loss"], g_metrics["g_loss"], moved
        return ravel_pytree(values)[0]

    return evaluate


@pytest.mark.parametrize(
    "family, batch, group_size",
    [(AdditiveFamily((2,), SIGMA, (0.5, 0.5)), 6, 3), (THREE, 16, 4)],
)
def test_a_drawn_step_is_an_enumerated_step_but_for_chance(family, batch, group_size):
    # Each member has a whole number of groups, and its images do not vary.
    generator = TinyGenerator(chance=False, group_size=group_size)
    study = functools.partial(losses_and_gradients, family, batch, generator)
    keys = jax.random.split(jax.random.key(0), 5)
    drawn = jax.jit(jax.vmap(study(enumerate_family=False)))(keys)
    enumerated = jax.jit(study(enumerate_family=True))(keys[0])
    for estimate in drawn:
        np.testing.assert_allclose(estimate, enumerated, rtol=1e-4, atol=1e-6)


def test_drawn_and_enumerated_members_estimate_the_same():
    keys = jax.random.split(jax.random.key(0), 8_000)

    def mean_and_variance(family, enumerate_family):
        evaluate = losses_and_gradients(family, 6, GENERATOR, enumerate_family)
        estimates = np.asarray(jax.jit(jax.vmap(evaluate))(keys), np.float64)
        return estimates.mean(axis=0), estimates.var(axis=0) / len(keys)

    def standard_errors_between(family, other):
        return abs(family[0] - other[0]) / np.sqrt(family[1] + other[1] + 1e-12)

    # Two groups for three members: at each step, one of them is left out.
    drawn = mean_and_variance(THREE, enumerate_family=False)
    enumerated = mean_and_variance(THREE, enumerate_family=True)
    assert (standard_errors_between(drawn, enumerated) < 4).all()
    # A narrow margin: with other weights, the same images are far outside of it.
    uniform = dataclasses.replace(THREE, weights=member_weights(3, "uniform"))
    uniform = mean_and_variance(uniform, enumerate_family=True)
    assert standard_errors_between(drawn, uniform).max() > 10
