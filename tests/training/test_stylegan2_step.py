"""One training step, on networks so small that its result is known in closed form."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from rtil_jax.experiments.training import several_steps
from rtil_jax.families import AdditiveFamily
from rtil_jax.training import stylegan2
from rtil_jax.training.state import TrainState, lazy_adam
from rtil_jax.training.stylegan2 import StyleGAN2Recipe

SIZE = 3


class LinearGenerator(nn.Module):
    """A pixel of three colours, a z_0 + z_1, with the one parameter a."""

    resolution: int = 1
    channels: int = SIZE
    num_blocks: int = 1

    def intermediate_shape(self, block):
        return (1, 1, SIZE)

    def sample_latents(self, key, batch):
        return {"styles": jax.random.normal(key, (batch, 1, SIZE))}

    @nn.compact
    def head(self, latents, block, intermediates=None):
        return self.param("a", nn.initializers.ones, ()) * latents["styles"][:, :, None]

    def tail(self, features, latents, block):
        return features

    def __call__(self, latents, intermediates=None):
        return self.head(latents, 1) + (intermediates or {}).get(1, 0.0)


class LinearDiscriminator(nn.Module):
    """D(x) = w . x: its gradient is w everywhere."""

    @nn.compact
    def __call__(self, images):
        w = self.param("w", nn.initializers.ones, (SIZE,))
        return images[:, 0, 0] @ w


class GradientDescent(StyleGAN2Recipe):
    """With it, a step moves a parameter by minus its gradient."""

    def optimizers(self):
        return optax.sgd(1.0), optax.sgd(1.0)


VANILLA = AdditiveFamily(blocks=(), sigma=1.0, weights=(1.0,))
TWO_MEMBERS = AdditiveFamily(blocks=(1,), sigma=1.0, weights=(0.5, 0.5))
RECIPE = GradientDescent(
    generator=LinearGenerator(),
    discriminator=LinearDiscriminator(),
    family=TWO_MEMBERS,
    enumerate_family=False,
    batch_size=8,
    learning_rate=0.1,
    r1_weight=0.25,
    r1_every=4,
    path_weight=0.5,
    path_every=3,
    path_batch_shrink=2,
    ema_decay=0.75,
)
A, W = 1.5, np.array([0.5, -1.0, 2.0], np.float32)
IMAGES = jax.random.normal(jax.random.key(1), (8, 1, 1, SIZE))
KEY = jax.random.key(0)


def make_state(recipe=RECIPE):
    generator = {"params": {"a": jnp.float32(A)}}
    discriminator = {"params": {"w": jnp.array(W)}}
    optimizers = recipe.optimizers()
    return TrainState(
        step=jnp.int32(0),
        generator=generator,
        discriminator=discriminator,
        generator_optimizer=optimizers[0].init(generator),
        discriminator_optimizer=optimizers[1].init(discriminator),
        ema={"params": {"a": jnp.float32(0.5)}},
        path_means=jnp.zeros(recipe.family.num_members),
    )


def moved(state):
    """Fields of a state that differ from those of `make_state()`."""
    before = make_state()
    return {
        field.name
        for field in dataclasses.fields(state)
        if not all(
            np.array_equal(a, b)
            for a, b in zip(
                jax.tree.leaves(getattr(state, field.name)),
                jax.tree.leaves(getattr(before, field.name)),
                strict=True,
            )
        )
    }


def test_each_part_of_a_step_changes_its_own_network_only():
    parts = {
        "discriminator": stylegan2.jit_discriminator(RECIPE, make_state(), IMAGES, KEY),
        "r1": stylegan2.jit_r1(RECIPE, make_state(), IMAGES),
        "generator": stylegan2.jit_generator(RECIPE, make_state(), KEY),
        "path length": stylegan2.jit_path_length(RECIPE, make_state(), KEY),
    }
    assert {name: moved(state) for name, (state, _) in parts.items()} == {
        "discriminator": {"discriminator"},
        "r1": {"discriminator"},
        "generator": {"generator"},
        "path length": {"generator", "path_means"},
    }
    assert moved(stylegan2.jit_finish(RECIPE, make_state())) == {"ema", "step"}


def test_a_whole_step_does_all_parts():
    state, metrics = RECIPE.train_step(make_state(), IMAGES, KEY, 0)
    changing = {"generator", "discriminator", "ema", "path_means", "step"}
    assert moved(state) == changing and state.step == 1
    names = "d_loss g_loss real_score fake_score r1 path_penalty path_length"
    names += " d_gradient g_gradient r1_gradient path_gradient"
    assert set(metrics) == set(names.split())
    assert all(np.isfinite(value) and value.shape == () for value in metrics.values())


def test_a_step_within_a_program_is_the_same_step():
    """With R1 in the first and the fifth, path lengths in the first and the fourth."""
    within = jax.jit(stylegan2.iteration, static_argnums=0)
    state, other = make_state(), make_state()
    for step in range(5):
        state, metrics = RECIPE.train_step(state, IMAGES, KEY, step)
        other, found = within(RECIPE, other, IMAGES, KEY, step)
        due = {name for name in found if stylegan2.is_due(RECIPE, name, step)}
        assert due == set(metrics)
        for name, value in metrics.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-4, err_msg=name)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)


def test_several_steps_are_one_program_also_for_cuda():
    pixels = jnp.zeros((12, 1, 1, SIZE), jnp.uint8)
    rows = np.zeros((16, 8), int), np.zeros((16, 8), bool)
    arguments = RECIPE, make_state(), pixels, *rows, KEY, np.int32(0), np.int32(5)
    state, metrics = several_steps._several(*arguments)
    assert state.step == 5 and metrics["d_loss"].shape == (16,)
    arguments = RECIPE, make_state(), *arguments[2:]
    jitted = several_steps._several.jitted
    exported = jax.export.export(jitted, platforms=["cuda"])(*arguments)
    text = exported.mlir_module()
    assert "stablehlo.while" in text and text.count("stablehlo.case") == 2


def test_real_images_push_the_discriminator_uphill():
    state = make_state().replace(generator={"params": {"a": jnp.float32(0)}})
    vanilla = dataclasses.replace(RECIPE, family=VANILLA)
    state, metrics = stylegan2.jit_discriminator(vanilla, state, IMAGES, KEY)
    x = np.asarray(IMAGES)[:, 0, 0]
    # D of a black fake is 0; what is left is the gradient of mean softplus(-w x).
    push = np.mean(x / (1 + np.exp(x @ W))[:, None], axis=0)
    np.testing.assert_allclose(state.discriminator["params"]["w"], W + push, rtol=1e-5)
    np.testing.assert_allclose(metrics["real_score"], np.mean(x @ W), rtol=1e-5)
    loss = np.mean(np.log1p(np.exp(-x @ W))) + np.log(2)
    np.testing.assert_allclose(metrics["d_loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(metrics["d_gradient"], np.linalg.norm(push), rtol=1e-5)


def test_the_generator_moves_by_the_gradient_of_its_loss():
    def step(a):
        state = make_state().replace(generator={"params": {"a": jnp.float32(a)}})
        state, metrics = stylegan2.jit_generator(RECIPE, state, KEY)
        return state.generator["params"]["a"], metrics["g_loss"]

    slope = (step(A + 0.01)[1] - step(A - 0.01)[1]) / 0.02
    np.testing.assert_allclose(step(A)[0], A - slope, rtol=1e-3)


def test_r1_is_weighted_for_being_lazy():
    state, metrics = stylegan2.jit_r1(RECIPE, make_state(), IMAGES)
    np.testing.assert_allclose(metrics["r1"], W @ W, rtol=1e-6)
    gradient = RECIPE.r1_weight / 2 * RECIPE.r1_every * 2 * W
    np.testing.assert_allclose(
        metrics["r1_gradient"], np.linalg.norm(gradient), rtol=1e-5
    )
    np.testing.assert_allclose(
        state.discriminator["params"]["w"], W - gradient, rtol=1e-6
    )


def test_path_length_is_weighted_for_being_lazy():
    state, metrics = stylegan2.jit_path_length(RECIPE, make_state(), KEY)
    # Lengths are proportional to a, and so are their means, which start at 0.
    gradient = RECIPE.path_weight * RECIPE.path_every * 2 * metrics["path_penalty"] / A
    np.testing.assert_allclose(state.generator["params"]["a"], A - gradient, rtol=1e-5)


def test_every_member_has_a_path_mean_of_its_own():
    state, metrics = stylegan2.jit_path_length(RECIPE, make_state(), KEY)
    assert state.path_means.shape == (2,) and (state.path_means > 0).all()
    assert state.path_means[0] != state.path_means[1]
    np.testing.assert_allclose(metrics["path_length"], state.path_means.mean())
    base_only = AdditiveFamily(blocks=(1,), sigma=1.0, weights=(1.0, 0.0))
    recipe = dataclasses.replace(RECIPE, family=base_only)
    state, _ = stylegan2.jit_path_length(recipe, make_state(), KEY)
    assert state.path_means[0] > 0 and state.path_means[1] == 0


def test_vanilla_is_the_same_step_with_one_member():
    base_only = AdditiveFamily(blocks=(1,), sigma=1.0, weights=(1.0, 0.0))
    states = []
    for family in (VANILLA, base_only):
        recipe = dataclasses.replace(RECIPE, family=family)
        state = make_state(recipe)
        states.append(recipe.train_step(state, IMAGES, KEY, 0)[0])
    vanilla, rtil = states
    for field in ("generator", "discriminator", "ema"):
        a, b = (jax.tree.leaves(getattr(state, field))[0] for state in states)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=field)
    np.testing.assert_allclose(rtil.path_means[0], vanilla.path_means[0], rtol=1e-5)


@pytest.mark.parametrize(
    "r1_every, path_every, r1_steps, path_steps",
    [(4, 3, [0, 4, 8], [0, 3, 6, 9]), (0, 1, [], list(range(10))), (16, 0, [0], [])],
)
def test_lazy_regularisers_run_every_nth_step(
    monkeypatch, r1_every, path_every, r1_steps, path_steps
):
    ran = []

    def record(name):
        def part(recipe, state, *_):
            ran.append((name, step))
            return state if name == "finish" else (state, {})

        return part

    parts = ("discriminator", "r1", "generator", "path_length", "finish")
    for name in parts:
        monkeypatch.setattr(stylegan2, f"jit_{name}", record(name))
    recipe = dataclasses.replace(RECIPE, r1_every=r1_every, path_every=path_every)
    for step in range(10):
        recipe.train_step(make_state(), IMAGES, KEY, step)
    every = list(range(10))
    expected = (every, r1_steps, every, path_steps, every)
    for name, steps in zip(parts, expected, strict=True):
        assert [at for part, at in ran if part == name] == steps
    first = [name for name, at in ran if at == 0]
    assert first == sorted(first, key=parts.index)


def test_ema_moves_by_one_minus_its_decay():
    state = stylegan2.jit_finish(RECIPE, make_state())
    np.testing.assert_allclose(state.ema["params"]["a"], 0.75 * 0.5 + 0.25 * A)


@pytest.mark.parametrize("every", [0, 4, 16])
def test_lazy_adam_shrinks_its_rate_and_its_memory(every):
    c = every / (every + 1) if every else 1.0
    optimizer = lazy_adam(0.1, every)
    params = jnp.array([1.0, -2.0])
    opt_state, expected, square = optimizer.init(params), np.array([1.0, -2.0]), 0.0
    for step, gradient in enumerate(([1.0, 3.0], [-2.0, 1.0], [0.5, 0.1]), 1):
        updates, opt_state = optimizer.update(jnp.array(gradient), opt_state)
        params = optax.apply_updates(params, updates)
        beta = 0.99**c
        square = beta * square + (1 - beta) * np.square(gradient)
        size = np.sqrt(square / (1 - beta**step)) + 1e-8
        expected = expected - 0.1 * c * np.array(gradient) / size
        np.testing.assert_allclose(params, expected, rtol=1e-4)
