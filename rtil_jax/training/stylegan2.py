"""One training iteration of RTIL-StyleGAN2: equation (2) with lazy regularisation.

Four jitted functions instead of one with conditionals, because XLA:CPU runs a
convolution's gradient many times slower inside `lax.cond`:

    discriminator   every iteration      logistic loss, real against the family
    r1              every `r1_every`     gradient penalty on real images
    generator       every iteration      non-saturating loss of the family
    path_length     every `path_every`   path-length penalty of the family

Each takes and returns the whole state, whose buffers are donated. They are compiled
once per recipe, however often `make_train_step` is called.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Float

from rtil_jax import losses
from rtil_jax.devices import constrain_batch
from rtil_jax.discriminators import stddev_group_size
from rtil_jax.families import AdditiveFamily, draw_members, enumerate_members
from rtil_jax.generators import Generator
from rtil_jax.training.state import TrainState, create_state, lazy_adam

Metrics = dict[str, Array]


@dataclasses.dataclass(frozen=True)
class StyleGAN2Recipe:
    """What is trained, and how. Hashable: steps are compiled once per recipe.

    Attributes:
        generator: any generator with the interface of `rtil_jax.generators`.
        discriminator: images to logits.
        family: the distribution over intermediate inputs.
        enumerate_family: evaluate all members at each step instead of drawing them.
        batch_size: real images per step, and fake ones unless all are enumerated.
        learning_rate: of both networks, before the correction for lazy regularisation.
        r1_weight, r1_every: R1 penalty; `r1_every` = 0 turns it off.
        path_weight, path_every: path-length penalty, likewise; it needs `styles`.
        path_batch_shrink: the path penalty sees batch_size / path_batch_shrink images.
        ema_decay: per iteration.
    """

    generator: Generator
    discriminator: nn.Module
    family: AdditiveFamily
    enumerate_family: bool
    batch_size: int
    learning_rate: float
    r1_weight: float
    r1_every: int
    path_weight: float
    path_every: int
    path_batch_shrink: int
    ema_decay: float

    def optimizers(self):
        """(generator's, discriminator's) optax transformations."""
        return (
            lazy_adam(self.learning_rate, self.path_every),
            lazy_adam(self.learning_rate, self.r1_every),
        )


def fresh_state(recipe: StyleGAN2Recipe, key: jax.Array) -> TrainState:
    """The state before the first step, with weights drawn from `key`."""
    return create_state(
        key,
        recipe.generator,
        recipe.discriminator,
        recipe.optimizers(),
        recipe.family.num_members,
    )


def choose_members(recipe: StyleGAN2Recipe, key: jax.Array):
    """(member, weight in the loss) of each fake image of one step."""
    weights, batch = recipe.family.weights, recipe.batch_size
    if recipe.enumerate_family:
        return enumerate_members(weights, batch)
    return draw_members(key, weights, batch, stddev_group_size(batch))


def family_images(
    recipe: StyleGAN2Recipe, params: dict, key: jax.Array, members: Array
) -> Float[Array, "images height width channels"]:
    """One image of each entry of `members`, sharded over the devices."""
    family, generator = recipe.family, recipe.generator
    inputs = family.sample(generator, params, key, members)
    return family.decode(generator, params, constrain_batch(inputs))


def fake_logits(
    recipe: StyleGAN2Recipe, params: dict, fakes: Array
) -> Float[Array, " images"]:
    """The discriminator on a family's images.

    Enumerated members are minibatches of their own, as in the public code; otherwise
    minibatch-stddev groups could straddle members and differ in size from real ones.
    """

    def logits(minibatch):
        return recipe.discriminator.apply(params, minibatch)

    if not recipe.enumerate_family:
        return logits(fakes)
    minibatches = fakes.reshape(-1, recipe.batch_size, *fakes.shape[1:])
    return jax.vmap(logits)(minibatches).reshape(-1)


def discriminator_step(
    recipe: StyleGAN2Recipe, state: TrainState, images: Array, key: jax.Array
) -> tuple[TrainState, Metrics]:
    """Equation (2), maximised over the discriminator."""
    member_key, image_key = jax.random.split(key)
    members, weights = choose_members(recipe, member_key)
    fakes = family_images(recipe, state.generator, image_key, members)

    def loss_fn(params):
        real = recipe.discriminator.apply(params, images)
        fake = fake_logits(recipe, params, fakes)
        loss = losses.discriminator_logistic(real, fake, weights)
        return loss, {"real_score": jnp.mean(real), "fake_score": weights @ fake}

    grads, metrics = _gradient(loss_fn, state.discriminator, "d_loss")
    return _update_discriminator(recipe, state, grads), metrics


def r1_step(
    recipe: StyleGAN2Recipe, state: TrainState, images: Array
) -> tuple[TrainState, Metrics]:
    """R1, weighted for being lazy: (r1_weight / 2) r1_every ||grad D||^2."""
    scale = recipe.r1_weight / 2 * recipe.r1_every

    def loss_fn(params):
        penalty = losses.r1_penalty(
            lambda x: recipe.discriminator.apply(params, x), images
        )
        return scale * penalty, {"r1": penalty}

    grads, metrics = _gradient(loss_fn, state.discriminator)
    return _update_discriminator(recipe, state, grads), metrics


def generator_step(
    recipe: StyleGAN2Recipe, state: TrainState, key: jax.Array
) -> tuple[TrainState, Metrics]:
    """Equation (2), in its non-saturating form, minimised over the generator."""
    member_key, image_key = jax.random.split(key)
    members, weights = choose_members(recipe, member_key)

    def loss_fn(params):
        fakes = family_images(recipe, params, image_key, members)
        logits = fake_logits(recipe, state.discriminator, fakes)
        return losses.generator_nonsaturating(logits, weights), {}

    grads, metrics = _gradient(loss_fn, state.generator, "g_loss")
    return _update_generator(recipe, state, grads), metrics


def path_length_step(
    recipe: StyleGAN2Recipe, state: TrainState, key: jax.Array
) -> tuple[TrainState, Metrics]:
    """Path-length penalty of the family, weighted for being lazy."""
    member_key, input_key, noise_key = jax.random.split(key, 3)
    family, generator = recipe.family, recipe.generator
    batch = max(recipe.batch_size // recipe.path_batch_shrink, 1)
    members, _ = draw_members(member_key, family.weights, batch, group_size=1)
    scale = recipe.path_weight * recipe.path_every

    def loss_fn(params):
        inputs = family.sample(generator, params, input_key, members)
        latents, extra = constrain_batch(inputs)

        def render(styles):
            inputs = ({**latents, "styles": styles}, extra)
            return family.decode(generator, params, inputs)

        lengths = losses.path_lengths(render, latents["styles"], noise_key)
        penalty, means = losses.path_length_penalty(lengths, members, state.path_means)
        return scale * penalty, {"path_penalty": penalty, "path_means": means}

    grads, metrics = _gradient(loss_fn, state.generator)
    means = metrics.pop("path_means")
    state = _update_generator(recipe, state.replace(path_means=means), grads)
    return state, {**metrics, "path_length": jnp.mean(means)}


def finish_step(recipe: StyleGAN2Recipe, state: TrainState) -> TrainState:
    """EMA of the generator, and the step counter."""
    ema = optax.incremental_update(state.generator, state.ema, 1 - recipe.ema_decay)
    return state.replace(ema=ema, step=state.step + 1)


def _gradient(loss_fn: Callable, params: dict, name: str | None = None):
    """(gradient, metrics) of a loss that returns (loss, metrics)."""
    (loss, metrics), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
    return grads, {**metrics, name: loss} if name else metrics


def _update_discriminator(recipe, state: TrainState, grads: Any) -> TrainState:
    updates, optimizer = recipe.optimizers()[1].update(
        grads, state.discriminator_optimizer
    )
    params = optax.apply_updates(state.discriminator, updates)
    return state.replace(discriminator=params, discriminator_optimizer=optimizer)


def _update_generator(recipe, state: TrainState, grads: Any) -> TrainState:
    updates, optimizer = recipe.optimizers()[0].update(grads, state.generator_optimizer)
    params = optax.apply_updates(state.generator, updates)
    return state.replace(generator=params, generator_optimizer=optimizer)


def _jit(step_fn: Callable) -> Callable:
    """`step_fn(recipe, state, ...)`, compiled for each recipe; donates the state."""
    return jax.jit(step_fn, static_argnums=0, donate_argnums=1)


jit_discriminator = _jit(discriminator_step)
jit_r1 = _jit(r1_step)
jit_generator = _jit(generator_step)
jit_path_length = _jit(path_length_step)
jit_finish = _jit(finish_step)


def make_train_step(
    recipe: StyleGAN2Recipe,
) -> Callable[[TrainState, Array, jax.Array, int], tuple[TrainState, Metrics]]:
    """A function (state, images, key, step) -> (state, metrics) of one iteration.

    `images` is `(batch_size, height, width, channels)` in [-1, 1]; `key` belongs to
    the run and is folded with `step`, the number of finished iterations, a Python
    int. The state's buffers are donated.
    """

    def train_step(state, images, key, step):
        d_key, g_key, path_key = jax.random.split(jax.random.fold_in(key, step), 3)
        state, metrics = jit_discriminator(recipe, state, images, d_key)
        if recipe.r1_every and step % recipe.r1_every == 0:
            state, more = jit_r1(recipe, state, images)
            metrics |= more
        state, more = jit_generator(recipe, state, g_key)
        metrics |= more
        if recipe.path_every and step % recipe.path_every == 0:
            state, more = jit_path_length(recipe, state, path_key)
            metrics |= more
        return jit_finish(recipe, state), metrics

    return train_step
