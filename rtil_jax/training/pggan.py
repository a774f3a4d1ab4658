"""One training iteration of RTIL-PGGAN: WGAN-GP over the family, growing by phases.

Both networks grow together. A phase trains the part of each network that its resolution
uses, and fades in the newest block over its first steps. One jitted function per phase
runs the whole iteration: the generator makes its images once, for the update of the
discriminator and then for its own.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jaxtyping import Array, Float, Int

from rtil_jax import generators, losses
from rtil_jax.activations import in_precision
from rtil_jax.devices import constrain_batch
from rtil_jax.discriminators import stddev_group_size
from rtil_jax.families import (
    MultiCodeFamily,
    choose_members,
    family_loss,
    images_of,
)
from rtil_jax.generators import Generator
from rtil_jax.training.hyperparameters import PGGANHyperparameters
from rtil_jax.training.keys import sample_key
from rtil_jax.training.recipe import BatchPlan, Metrics
from rtil_jax.training.state import TrainState, adam_per_module, create_state


@dataclasses.dataclass(frozen=True)
class Phase:
    """A phase of growing: training at one resolution.

    Attributes:
        resolution: height and width of the images.
        batch_size: number of real images per step.
        first_step: number of steps of all earlier phases.
        first_image: number of images that they read.
        fade_steps: number of steps over which the newest block fades in; 0 for none.
    """

    resolution: int
    batch_size: int
    first_step: int
    first_image: int
    fade_steps: int

    def fade(self, step: int) -> float:
        """Returns alpha of the newest block, which rises linearly to 1."""
        if not self.fade_steps:
            return 1.0
        return min(1.0, (step - self.first_step) / self.fade_steps)


def growing_phases(
    resolutions: tuple[int, ...], batch_sizes: tuple[int, ...], steps: int
) -> tuple[Phase, ...]:
    """Returns phases of equal length; all but the first fade in over their first half.

    The last phase continues until training ends.

    Args:
        resolutions: height and width of the images in each phase.
        batch_sizes: number of real images per step in each phase.
        steps: number of steps per phase.
    """
    phases, image = [], 0
    for i, (size, batch) in enumerate(zip(resolutions, batch_sizes, strict=True)):
        phases.append(Phase(size, batch, i * steps, image, steps // 2 if i else 0))
        image += steps * batch
    return tuple(phases)


@dataclasses.dataclass(frozen=True)
class PGGANRecipe(PGGANHyperparameters):
    """The recipe of RTIL-PGGAN: its networks, family and hyperparameters.

    It implements `rtil_jax.training.recipe.Recipe`. The other attributes are those of
    `PGGANHyperparameters`.

    Attributes:
        generator: the generator at full resolution. `clone(resolution=r)` makes it
            smaller.
        discriminator: scores images of all these sizes; it has an attribute
            `stddev_group`. Both networks read the fade (see
            `rtil_jax.generators.pggan`).
        family: the multi-code family. While the network is too small for
            `family.block`, codes are mixed after its last block.
        enumerate_family: evaluate all members at each step instead of sharing the
            batch among them.
        phases: one phase per resolution; the last has the generator's resolution.
    """

    generator: Generator
    discriminator: nn.Module
    family: MultiCodeFamily
    enumerate_family: bool
    phases: tuple[Phase, ...]

    def optimizer(self) -> optax.GradientTransformation:
        """Returns the optimiser of each network; its state lasts through all phases."""
        return adam_per_module(self.learning_rate)

    def fresh_state(self, key: jax.Array) -> TrainState:
        optimizer = self.optimizer()
        return create_state(
            key, self.generator, self.discriminator, (optimizer, optimizer)
        )

    def phase_at(self, step: int) -> Phase:
        """Returns the phase of the step that follows `step` finished ones."""
        return [phase for phase in self.phases if phase.first_step <= step][-1]

    def first_steps(self) -> tuple[int, ...]:
        return tuple(phase.first_step for phase in self.phases)

    def batch_at(self, step: int) -> BatchPlan:
        phase = self.phase_at(step)
        start = phase.first_image + (step - phase.first_step) * phase.batch_size
        return BatchPlan(start, phase.batch_size, phase.resolution)

    def at(self, phase: Phase) -> tuple[Generator, MultiCodeFamily]:
        """Returns the generator and the family at the size of the phase."""
        generator = self.generator.clone(resolution=phase.resolution)
        block = min(self.family.block, generator.num_blocks)
        return generator, dataclasses.replace(self.family, block=block)

    def members(
        self, phase: Phase
    ) -> tuple[
        Int[Array | np.ndarray, " images"],
        Float[Array | np.ndarray, "minibatches batch"],
    ]:
        """Returns (member of each fake image of a step, its weight in the loss)."""
        batch = phase.batch_size
        group = stddev_group_size(batch, self.discriminator.stddev_group)
        return choose_members(self.family, None, batch, group, self.enumerate_family)

    def train_step(
        self,
        state: TrainState,
        images: Array | np.ndarray,
        key: jax.Array,
        step: int,
    ) -> tuple[TrainState, Metrics]:
        """Runs one iteration; see `Recipe.train_step`.

        Args:
            state: after `step` iterations; its buffers are donated.
            images: `(batch, height, width, channels)` in [-1, 1].
            key: the PRNG key of the run.
            step: number of finished iterations.
        """
        phase = self.phase_at(step)
        fade, key = np.float32(phase.fade(step)), jax.random.fold_in(key, step)
        state, metrics = jit_step(self, phase, state, images, fade, key)
        return state, metrics | {"resolution": phase.resolution, "fade": fade}

    def measure(self, state: TrainState) -> Metrics:
        """Returns no metrics, because each layer normalises its features."""
        return {}

    def sample(self, params: dict, step: int, columns: int) -> Array:
        """Draws images of every member, enlarged to full resolution by repetition.

        Args:
            params: variables of the generator.
            step: number of finished iterations, which decides the phase.
            columns: number of images per member; each member has its own codes.
        """
        phase = self.phase_at(step)
        fade = np.float32(phase.fade(step))
        small = jnp.stack(
            [
                _sample_member(self, phase, member, columns, params, fade)
                for member in range(self.family.num_members)
            ]
        )
        enlarge = self.generator.resolution // phase.resolution
        return small.repeat(enlarge, axis=2).repeat(enlarge, axis=3)

    def programs(
        self,
        state: TrainState,
        images_at: Callable[[BatchPlan], Array | jax.ShapeDtypeStruct],
        key: jax.Array | jax.ShapeDtypeStruct,
        step: int | None = None,
    ) -> dict[str, tuple]:
        """Returns the programs of the phases; see `Recipe.programs`.

        Args:
            state: arrays or shapes.
            images_at: makes the images of a batch, or their shape.
            key: the PRNG key of the run, or its shape.
            step: number of finished iterations; None for all phases.
        """
        fade, programs = np.float32(0), {}
        for phase in self.phases if step is None else [self.phase_at(step)]:
            images = images_at(self.batch_at(phase.first_step))
            name = f"{phase.resolution}-pixel"
            programs[name] = (jit_step, self, phase, state, images, fade, key)
        return programs


def with_fade(phase: Phase, params: dict, fade: Array) -> dict:
    """Returns the variables of a network whose newest block has faded in to `fade`.

    Args:
        phase: the phase; the first one has no fade.
        params: `{"params": ...}` of the network.
        fade: alpha, in [0, 1].
    """
    return {**params, "growth": {"fade": fade}} if phase.fade_steps else params


def family_images(
    recipe: PGGANRecipe, phase: Phase, params: dict, fade: Array, key: jax.Array
) -> Float[Array, "minibatches batch height width channels"]:
    """Draws the fake images of a step: one minibatch, or one per enumerated member.

    Args:
        recipe: the recipe.
        phase: the phase of the step.
        params: `{"params": ...}` of the generator.
        fade: alpha of the newest block, in [0, 1].
        key: the PRNG key of the images.
    """
    generator, family = recipe.at(phase)
    variables = with_fade(phase, params, fade)
    members, _ = recipe.members(phase)
    latents, weights = family.sample(generator, variables, key, np.asarray(members))
    inputs = constrain_batch(latents), weights
    images = constrain_batch(family.decode(generator, variables, inputs))
    return images.reshape(-1, phase.batch_size, *images.shape[1:])


def critic_loss(
    recipe: PGGANRecipe,
    score: Callable[[nn.Module, dict, Array], Array],
    params: dict,
    images: Float[Array, "batch height width channels"],
    fakes: Float[Array, "minibatches batch height width channels"],
    weights: Float[Array | np.ndarray, "minibatches batch"],
    key: jax.Array,
) -> tuple[Float[Array, ""], Metrics]:
    """Returns the loss of the critic, WGAN-GP with drift (equation 2), and metrics.

    The penalty is in float32: its gradient, of second order, is noisy in bfloat16.

    Args:
        recipe: the recipe.
        score: a function of (discriminator, params, images).
        params: `{"params": ...}` of the discriminator.
        images: real images, `(batch, height, width, channels)` in [-1, 1].
        fakes: `(minibatches, batch, height, width, channels)`; minibatches do not mix.
        weights: `(minibatches, batch)`, the weight of each fake image.
        key: the PRNG key of the gradient penalty.
    """
    critic = recipe.discriminator
    exact = in_precision(critic, "float32")

    def scores_and_penalties(minibatch: Array, key: jax.Array) -> tuple[Array, Array]:
        penalties = losses.gradient_penalty(
            lambda x: score(exact, params, x), images, minibatch, key
        )
        return score(critic, params, minibatch), penalties

    keys = jax.random.split(key, len(fakes))
    fake, penalty = family_loss(scores_and_penalties, fakes, weights, keys)
    real = score(critic, params, images)
    loss = jnp.mean(losses.critic_real(real, recipe.drift)) + fake
    metrics: Metrics = {
        "real_score": jnp.mean(real),
        "fake_score": fake,
        "gradient_penalty": penalty,
    }
    return loss + recipe.penalty_weight * penalty, metrics


def step(
    recipe: PGGANRecipe,
    phase: Phase,
    state: TrainState,
    images: Float[Array, "batch height width channels"],
    fade: Float[Array, ""],
    key: jax.Array,
) -> tuple[TrainState, Metrics]:
    """Updates the discriminator once, then the generator and its moving average.

    Args:
        recipe: the recipe.
        phase: the phase of the step.
        state: before the step; its buffers are donated.
        images: real images, `(batch, height, width, channels)` in [-1, 1].
        fade: alpha of the newest block, in [0, 1].
        key: the PRNG key of the step.
    """
    image_key, penalty_key = jax.random.split(key)

    def score(critic: nn.Module, params: dict, images: Array) -> Array:
        variables = with_fade(phase, params, fade)
        return cast(Array, critic.apply(variables, images))

    smaller = functools.partial(generators.init, recipe.at(phase)[0])
    fakes, pull_back = jax.vjp(
        lambda params: family_images(recipe, phase, params, fade, image_key),
        _modules(state.generator, jax.eval_shape(smaller, key)),
    )
    _, weights = recipe.members(phase)
    read = jax.eval_shape(recipe.discriminator.init, key, images)
    (d_loss, metrics), d_grads = jax.value_and_grad(critic_loss, 2, has_aux=True)(
        recipe,
        score,
        _modules(state.discriminator, read),
        images,
        fakes,
        weights,
        penalty_key,
    )
    state = _update(recipe, state, "discriminator", d_grads)

    def generator_loss(fakes: Array) -> Float[Array, ""]:
        scores = functools.partial(score, recipe.discriminator, state.discriminator)
        return -family_loss(scores, fakes, weights)

    g_loss, image_grads = jax.value_and_grad(generator_loss)(fakes)
    (g_grads,) = pull_back(image_grads)
    state = _update(recipe, state, "generator", g_grads)
    ema = optax.incremental_update(state.generator, state.ema, 1 - recipe.ema_decay)
    metrics |= {"d_loss": d_loss, "d_gradient": optax.tree.norm(d_grads)}
    metrics |= {"g_loss": g_loss, "g_gradient": optax.tree.norm(g_grads)}
    return dataclasses.replace(state, ema=ema, step=state.step + 1), metrics


jit_step = jax.jit(step, static_argnums=(0, 1), donate_argnums=2)


def _modules(params: dict, shapes: dict) -> dict:
    """Returns the modules that are named in `shapes`, those of the phase's network.

    Modules that growing has not reached must neither move nor count a step in Adam's
    bias correction.
    """
    return {"params": {name: params["params"][name] for name in shapes["params"]}}


def _update(
    recipe: PGGANRecipe, state: TrainState, network: str, grads: dict
) -> TrainState:
    params, name = getattr(state, network), f"{network}_optimizer"
    updates, optimizer = recipe.optimizer().update(grads, getattr(state, name))
    moved = optax.apply_updates(_modules(params, updates), updates)
    params = {"params": params["params"] | moved["params"]}
    return dataclasses.replace(state, **{network: params, name: optimizer})


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _sample_member(
    recipe: PGGANRecipe,
    phase: Phase,
    member: int,
    columns: int,
    params: dict,
    fade: Float[Array, ""],
) -> Float[Array, "columns height width channels"]:
    generator, family = recipe.at(phase)
    variables = with_fade(phase, params, fade)
    members = np.full(columns, member)
    return images_of(family, generator, variables, sample_key(), members)
