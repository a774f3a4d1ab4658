"""One training step, on networks so small that its result is known in closed form."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from rtil_jax.discriminators import PGGANDiscriminator
from rtil_jax.families import MultiCodeFamily
from rtil_jax.generators import PGGANGenerator
from rtil_jax.training.pggan import (
    PGGANRecipe,
    Phase,
    family_images,
    growing_phases,
    jit_step,
)
from rtil_jax.training.state import TrainState, adam_per_module

SIZE = 3


class LinearGenerator(nn.Module):
    """A pixel of three colours, a z, with the one parameter a."""

    resolution: int = 1
    channels: int = SIZE
    num_blocks: int = 1

    def setup(self):
        self.scale = Scale()

    def intermediate_shape(self, block):
        return (1, 1, SIZE)

    def sample_latents(self, key, batch):
        return {"z": jax.random.normal(key, (batch, SIZE))}

    def head(self, latents, block, intermediates=None):
        return self.scale(latents["z"])[:, None, None]

    def tail(self, features, latents, block):
        return features

    def __call__(self, latents, intermediates=None):
        return self.head(latents, 1)


class Scale(nn.Module):
    @nn.compact
    def __call__(self, x):
        return self.param("a", nn.initializers.ones, ()) * x


class LinearDiscriminator(nn.Module):
    """D(x) = w . x: its gradient is w everywhere."""

    stddev_group: int = 4

    @nn.compact
    def __call__(self, images):
        return nn.Dense(1, use_bias=False, name="w")(images[:, 0, 0])[:, 0]


class GradientDescent(PGGANRecipe):
    """With it, a step moves a parameter by minus its gradient."""

    def optimizer(self):
        return optax.sgd(1.0)


PHASE = Phase(1, 8, 0, 0, 0)
TWO_MEMBERS = MultiCodeFamily((1, 3), 1, (0.75, 0.25))
RECIPE = GradientDescent(
    generator=LinearGenerator(),
    discriminator=LinearDiscriminator(),
    family=TWO_MEMBERS,
    enumerate_family=False,
    phases=(PHASE,),
    learning_rate=0.1,
    penalty_weight=2.0,
    drift=0.125,
    ema_decay=0.75,
)
A, W = 1.5, np.array([0.5, -1.0, 2.0], np.float32)
IMAGES = jax.random.normal(jax.random.key(1), (8, 1, 1, SIZE))
KEY = jax.random.key(0)


def make_state():
    return TrainState(
        step=jnp.int32(0),
        generator={"params": {"scale": {"a": jnp.float32(A)}}},
        discriminator={"params": {"w": {"kernel": jnp.array(W)[:, None]}}},
        generator_optimizer=optax.sgd(1.0).init(None),
        discriminator_optimizer=optax.sgd(1.0).init(None),
        ema={"params": {"scale": {"a": jnp.float32(0.5)}}},
    )


@pytest.mark.parametrize("enumerate_family", [False, True])
def test_a_step_of_both_networks(enumerate_family):
    recipe = dataclasses.replace(RECIPE, enumerate_family=enumerate_family)
    state, metrics = recipe.train_step(make_state(), IMAGES, KEY, 0)
    image_key, _ = jax.random.split(jax.random.fold_in(KEY, 0))
    fakes = family_images(
        recipe, PHASE, make_state().generator, jnp.ones(()), image_key
    )
    fakes = np.asarray(fakes)[:, :, 0, 0]
    assert fakes.shape == ((2, 8, 3) if enumerate_family else (1, 8, 3))
    # Groups of four images: one of each member, or a minibatch of each.
    mean_of = fakes.mean(axis=1) if enumerate_family else fakes.reshape(2, 4, 3).mean(1)
    fake, x = np.array([0.75, 0.25]) @ mean_of, np.asarray(IMAGES)[:, 0, 0]

    norm, scores = np.linalg.norm(W), x @ W
    drift, penalty = 0.125 * np.mean(scores**2), (norm - 1) ** 2
    loss = W @ fake - W @ x.mean(axis=0) + drift + 2 * penalty
    np.testing.assert_allclose(metrics["d_loss"], loss, rtol=1e-4)
    np.testing.assert_allclose(metrics["gradient_penalty"], penalty, rtol=1e-4)
    gradient = fake - x.mean(axis=0) + 0.25 * np.mean(scores[:, None] * x, axis=0)
    gradient += 2 * 2 * (norm - 1) * W / norm
    size = np.linalg.norm(gradient)
    np.testing.assert_allclose(metrics["d_gradient"], size, rtol=1e-4)
    new_w = np.ravel(state.discriminator["params"]["w"]["kernel"])
    np.testing.assert_allclose(new_w, W - gradient, rtol=1e-4)

    # The generator climbs the *new* discriminator, on the same images: L_G = -D(a z).
    np.testing.assert_allclose(metrics["g_loss"], -new_w @ fake, rtol=1e-4)
    new_a = A + new_w @ fake / A
    np.testing.assert_allclose(metrics["g_gradient"], abs(new_a - A), rtol=1e-3)
    np.testing.assert_allclose(
        state.generator["params"]["scale"]["a"], new_a, rtol=1e-4
    )
    ema = 0.75 * 0.5 + 0.25 * new_a
    np.testing.assert_allclose(state.ema["params"]["scale"]["a"], ema, rtol=1e-4)
    assert state.step == 1


def test_growing_phases_lie_end_to_end():
    phases = growing_phases((4, 8, 16), (32, 16, 6), steps=10)
    assert [p.first_step for p in phases] == [0, 10, 20]
    assert [p.first_image for p in phases] == [0, 320, 480]
    recipe = dataclasses.replace(RECIPE, phases=phases)
    plans = [recipe.batch_at(step) for step in range(40)]
    assert [plan.start for plan in plans] == np.cumsum([0] + [p.size for p in plans])[
        :-1
    ].tolist()
    assert [plan.resolution for plan in plans] == [4] * 10 + [8] * 10 + [16] * 20
    fades = [recipe.phase_at(step).fade(step) for step in range(40)]
    rising = [0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1, 1]
    # The first phase has nothing to fade from: it never asks.
    np.testing.assert_allclose(fades[10:], rising * 2 + [1] * 10)
    assert phases[0].fade_steps == 0


def test_adam_counts_from_a_modules_first_gradient():
    optimizer = adam_per_module(0.1)
    params = {"params": {"old": jnp.ones(2), "new": jnp.ones(2)}}
    state = optimizer.init(params)
    gradient = jnp.array([1.0, -3.0])
    for _ in range(50):
        _, state = optimizer.update({"params": {"old": gradient}}, state)
    both = {"params": {"old": gradient, "new": gradient}}
    updates, after = optimizer.update(both, state)
    # The first update of Adam is the rate times the gradient's sign, at any step.
    np.testing.assert_allclose(updates["params"]["new"], [-0.1, 0.1], rtol=1e-4)
    alone = optax.adam(0.1, b1=0.0, b2=0.99)
    alone_state = alone.init(jnp.ones(2))
    for _ in range(51):
        expected, alone_state = alone.update(gradient, alone_state)
    np.testing.assert_allclose(updates["params"]["old"], expected, rtol=1e-5)
    assert jax.tree.structure(after) == jax.tree.structure(state)


GROWING = PGGANRecipe(
    generator=PGGANGenerator(16, channels=1, max_channels=4, latent_dim=5),
    discriminator=PGGANDiscriminator(max_channels=4, stddev_group=2),
    family=MultiCodeFamily((1, 2, 3), 2, (1 / 3,) * 3),
    enumerate_family=False,
    phases=growing_phases((4, 8, 16), (12, 6, 6), steps=4),
    learning_rate=0.001,
    penalty_weight=10.0,
    drift=0.001,
    ema_decay=0.9,
)


def moved_modules(old, new):
    """Names of the modules of both networks that differ."""
    pairs = [
        (name, module, getattr(new, network)["params"][name])
        for network in ("generator", "discriminator")
        for name, module in getattr(old, network)["params"].items()
    ]
    return {
        name
        for name, before, after in pairs
        if not all(jax.tree.leaves(jax.tree.map(np.array_equal, before, after)))
    }


# At fade 0, the first step of a phase, the newest modules have no gradient yet.
OLDEST = {"code", "blocks_0", "to_rgbs_0", "from_rgb_4", "block_4_conv_0", "score"}
MIDDLE = {"blocks_1", "to_rgbs_1", "from_rgb_8", "block_8_conv_0", "block_8_conv_1"}
NEWEST = {"blocks_2", "to_rgbs_2", "from_rgb_16", "block_16_conv_0", "block_16_conv_1"}
MOVED = {
    0: (OLDEST, MIDDLE | NEWEST),
    3: (OLDEST, MIDDLE | NEWEST),
    5: (OLDEST | MIDDLE, NEWEST),  # fading in
    7: ((OLDEST | MIDDLE) - {"to_rgbs_0", "from_rgb_4"}, NEWEST | {"to_rgbs_0"}),
    9: ((OLDEST | MIDDLE | NEWEST) - {"to_rgbs_0", "from_rgb_4"}, {"from_rgb_4"}),
}


def test_a_phase_trains_what_it_reads_and_is_compiled_once():
    state, compiled = GROWING.fresh_state(jax.random.key(0)), jit_step._cache_size()
    for step in range(12):
        plan = GROWING.batch_at(step)
        shape = (plan.size, plan.resolution, plan.resolution, 1)
        images = np.random.default_rng(step).normal(size=shape).astype(np.float32)
        old = jax.device_get(state)
        state, metrics = GROWING.train_step(state, images, KEY, step)
        moved = moved_modules(old, state)
        expected, still = MOVED.get(step, (set(), set()))
        assert moved >= expected and not moved & still, step
        assert metrics["resolution"] == plan.resolution
    assert jit_step._cache_size() - compiled == 3


def test_samples_are_as_large_at_every_phase():
    state = GROWING.fresh_state(jax.random.key(0))
    for step in (0, 5, 11):
        images = GROWING.sample(state.ema, step, 2)
        assert images.shape == (3, 2, 16, 16, 1)
        square = 16 // GROWING.batch_at(step).resolution
        np.testing.assert_array_equal(images[:, :, ::square].repeat(square, 2), images)
