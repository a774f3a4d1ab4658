"""One training iteration of RTIL-StyleGAN2: equation (2) with lazy regularisation.

Four jitted functions instead of one with conditionals, because XLA:CPU runs a
convolution's gradient many times slower inside `lax.cond`:

    discriminator   every iteration      logistic loss, real against the family
    r1              every `r1_every`     gradient penalty on real images
    generator       every iteration      non-saturating loss of the family
    path_length     every `path_every`   path-length penalty of the family

Each function takes the whole state, donates its buffers and returns the new state. The
functions are compiled once per recipe.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from rtil_jax import losses
from rtil_jax.activations import in_precision
from rtil_jax.compiling import compiled
from rtil_jax.devices import constrain_batch
from rtil_jax.discriminators import Discriminator, stddev_group_size
from rtil_jax.families import (
    AdditiveFamily,
    choose_members,
    draw_members,
    family_loss,
    images_of,
)
from rtil_jax.generators import Generator
from rtil_jax.generators.scales import drawn_feature_rms
from rtil_jax.training.hyperparameters import StyleGAN2Hyperparameters
from rtil_jax.training.keys import sample_key
from rtil_jax.training.recipe import BatchPlan, Metrics
from rtil_jax.training.state import TrainState, create_state, lazy_adam

MEASURED_IMAGES = 16


@dataclasses.dataclass(frozen=True)
class StyleGAN2Recipe(StyleGAN2Hyperparameters):
    """The recipe of RTIL-StyleGAN2: its networks, family and hyperparameters.

    It implements `rtil_jax.training.recipe.Recipe`. The other attributes are those of
    `StyleGAN2Hyperparameters`.

    Attributes:
        generator: any generator with the interface of `rtil_jax.generators`.
        discriminator: maps images to logits.
        family: the distribution over intermediate inputs.
        enumerate_family: evaluate all members in both adversarial losses instead of
            drawing one per minibatch-stddev group. The path-length penalty draws one
            member per image in both cases.
    """

    generator: Generator
    discriminator: Discriminator
    family: AdditiveFamily
    enumerate_family: bool

    def optimizers(
        self,
    ) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
        """Returns the optimisers (of the generator, of the discriminator)."""
        return (
            lazy_adam(self.learning_rate, self.path_every),
            lazy_adam(self.learning_rate, self.r1_every),
        )

    def fresh_state(self, key: jax.Array) -> TrainState:
        return create_state(
            key,
            self.generator,
            self.discriminator,
            self.optimizers(),
            path_means=jnp.zeros(self.family.num_members, jnp.float32),
        )

    def first_steps(self) -> tuple[int, ...]:
        return (0,)

    def batch_at(self, step: int) -> BatchPlan:
        size = self.batch_size
        return BatchPlan(step * size, size, self.generator.resolution)

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
        d_key, g_key, path_key = jax.random.split(jax.random.fold_in(key, step), 3)
        state, metrics = jit_discriminator(self, state, images, d_key)
        if self.r1_every and step % self.r1_every == 0:
            state, more = jit_r1(self, state, images)
            metrics |= more
        state, more = jit_generator(self, state, g_key)
        metrics |= more
        if self.path_every and step % self.path_every == 0:
            state, more = jit_path_length(self, state, path_key)
            metrics |= more
        return jit_finish(self, state), metrics

    def measure(self, state: TrainState) -> Metrics:
        """Returns `feature_rms_K` of the trained G after each block K.

        This root mean square is the natural unit of the family's sigma.
        """
        generator = without_mixing(self.generator)
        measured = state.generator, sample_key(), MEASURED_IMAGES
        rms = drawn_feature_rms(generator, *measured)
        return {f"feature_rms_{block}": value for block, value in rms.items()}

    def sample(self, params: dict, step: int, columns: int) -> Array:
        """Draws images of every member; see `Recipe.sample`.

        Args:
            params: variables of the generator.
            step: number of finished iterations; it does not matter here.
            columns: number of images per member.
        """
        members = range(self.family.num_members)
        return jnp.stack(
            [_sample_member(self, columns, params, member) for member in members]
        )

    def programs(
        self,
        state: TrainState,
        images_at: Callable[[BatchPlan], Array | jax.ShapeDtypeStruct],
        key: jax.Array | jax.ShapeDtypeStruct,
        step: int | None = None,
    ) -> dict[str, tuple]:
        """Returns the programs of a step; see `Recipe.programs`.

        Args:
            state: arrays or shapes.
            images_at: makes the images of a batch, or their shape.
            key: the PRNG key of the run, or its shape.
            step: number of finished iterations; it does not matter here.
        """
        images = images_at(self.batch_at(0))
        programs = {
            "discriminator": (jit_discriminator, self, state, images, key),
            "generator": (jit_generator, self, state, key),
        }
        if self.r1_every:
            programs["R1"] = (jit_r1, self, state, images)
        if self.path_every:
            programs["path length"] = (jit_path_length, self, state, key)
        return programs


def members_of_step(
    recipe: StyleGAN2Recipe, key: jax.Array
) -> tuple[
    Int[Array | np.ndarray, " images"],
    Float[Array | np.ndarray, "minibatches batch"],
]:
    """Returns (member of each fake image of a step, its weight in the loss).

    Each enumerated member has its own minibatch, as in the public code; otherwise
    minibatch-stddev groups could mix members and differ in size from real ones.
    """
    batch = recipe.batch_size
    group = stddev_group_size(batch)
    return choose_members(recipe.family, key, batch, group, recipe.enumerate_family)


def family_images(
    recipe: StyleGAN2Recipe, params: dict, key: jax.Array, members: Array | np.ndarray
) -> Float[Array, "minibatches batch height width channels"]:
    """Draws one image for each entry of `members`, sharded over the devices.

    Args:
        recipe: the recipe.
        params: `{"params": ...}` of the generator.
        key: the PRNG key of the images.
        members: `(images,)`, the member of the family of each image.

    Returns:
        `(minibatches, batch, height, width, channels)`.
    """
    family, generator = recipe.family, recipe.generator
    inputs = family.sample(generator, params, key, members)
    images = family.decode(generator, params, constrain_batch(inputs))
    return images.reshape(-1, recipe.batch_size, *images.shape[1:])


def discriminator_step(
    recipe: StyleGAN2Recipe, state: TrainState, images: Array, key: jax.Array
) -> tuple[TrainState, Metrics]:
    """Updates the discriminator once by equation (2).

    Args:
        recipe: the recipe.
        state: before the update.
        images: real images, `(batch, height, width, channels)` in [-1, 1].
        key: the PRNG key of the fake images.
    """
    member_key, image_key = jax.random.split(key)
    members, weights = members_of_step(recipe, member_key)
    fakes = family_images(recipe, state.generator, image_key, members)

    def loss_fn(params: dict) -> tuple[Float[Array, ""], Metrics]:
        def fake_losses(minibatch: Array) -> tuple[Array, Array]:
            logits = recipe.discriminator.apply(params, minibatch)
            return losses.logistic_fake(logits), logits

        real = recipe.discriminator.apply(params, images)
        fake_loss, fake_score = family_loss(fake_losses, fakes, weights)
        loss = jnp.mean(losses.logistic_real(real)) + fake_loss
        scores = {"real_score": jnp.mean(real), "fake_score": fake_score}
        return loss, {"d_loss": loss, **scores}

    grads, metrics = _gradient(loss_fn, state.discriminator, "d")
    return _update_discriminator(recipe, state, grads), metrics


def r1_step(
    recipe: StyleGAN2Recipe, state: TrainState, images: Array
) -> tuple[TrainState, Metrics]:
    """Updates the discriminator once by the R1 penalty on real images, in float32.

    The loss is (r1_weight / 2) r1_every ||grad D||^2: the factor r1_every makes up for
    the steps between two penalties. Its gradient, of second order, is noisy in
    bfloat16.

    Args:
        recipe: the recipe.
        state: before the update.
        images: real images, `(batch, height, width, channels)` in [-1, 1].
    """
    scale = recipe.r1_weight / 2 * recipe.r1_every
    discriminator = in_precision(recipe.discriminator, "float32")

    def loss_fn(params: dict) -> tuple[Float[Array, ""], Metrics]:
        penalty = losses.r1_penalty(lambda x: discriminator.apply(params, x), images)
        return scale * penalty, {"r1": penalty}

    grads, metrics = _gradient(loss_fn, state.discriminator, "r1")
    return _update_discriminator(recipe, state, grads), metrics


def generator_step(
    recipe: StyleGAN2Recipe, state: TrainState, key: jax.Array
) -> tuple[TrainState, Metrics]:
    """Updates the generator once by equation (2) in its non-saturating form.

    Args:
        recipe: the recipe.
        state: before the update.
        key: the PRNG key of the fake images.
    """
    member_key, image_key = jax.random.split(key)
    members, weights = members_of_step(recipe, member_key)

    def fake_losses(minibatch: Array) -> Array:
        logits = recipe.discriminator.apply(state.discriminator, minibatch)
        return losses.nonsaturating(logits)

    def loss_fn(params: dict) -> tuple[Float[Array, ""], Metrics]:
        fakes = family_images(recipe, params, image_key, members)
        loss = family_loss(fake_losses, fakes, weights)
        return loss, {"g_loss": loss}

    grads, metrics = _gradient(loss_fn, state.generator, "g")
    return _update_generator(recipe, state, grads), metrics


def path_length_step(
    recipe: StyleGAN2Recipe, state: TrainState, key: jax.Array
) -> tuple[TrainState, Metrics]:
    """Updates the generator once by the path-length penalty of the family, in float32.

    The loss has a factor path_every, which makes up for the steps between two
    penalties.

    Args:
        recipe: the recipe.
        state: before the update.
        key: the PRNG key of the images and of the random directions.
    """
    member_key, input_key, noise_key = jax.random.split(key, 3)
    family, generator = recipe.family, in_precision(recipe.generator, "float32")
    batch = max(recipe.batch_size // recipe.path_batch_shrink, 1)
    members, _ = draw_members(member_key, family.weights, batch, group_size=1)
    scale = recipe.path_weight * recipe.path_every

    def loss_fn(params: dict) -> tuple[Float[Array, ""], Metrics]:
        inputs = family.sample(generator, params, input_key, members)
        latents, extra = constrain_batch(inputs)

        def render(styles: Array) -> Array:
            inputs = ({**latents, "styles": styles}, extra)
            return family.decode(generator, params, inputs)

        lengths = losses.path_lengths(render, latents["styles"], noise_key)
        penalty, means = losses.path_length_penalty(lengths, members, state.path_means)
        return scale * penalty, {"path_penalty": penalty, "path_means": means}

    grads, metrics = _gradient(loss_fn, state.generator, "path")
    means = metrics.pop("path_means")
    state = _update_generator(
        recipe, dataclasses.replace(state, path_means=means), grads
    )
    return state, {**metrics, "path_length": jnp.mean(means)}


def finish_step(recipe: StyleGAN2Recipe, state: TrainState) -> TrainState:
    """Updates the moving average of the generator and the step counter."""
    ema = optax.incremental_update(state.generator, state.ema, 1 - recipe.ema_decay)
    return dataclasses.replace(state, ema=ema, step=state.step + 1)


def _gradient(loss_fn: Callable, params: dict, name: str) -> tuple[dict, Metrics]:
    """Returns the gradient of a loss, and its metrics with the norm of the gradient."""
    grads, metrics = jax.grad(loss_fn, has_aux=True)(params)
    return grads, {**metrics, f"{name}_gradient": optax.tree.norm(grads)}


def _update_discriminator(
    recipe: StyleGAN2Recipe, state: TrainState, grads: dict
) -> TrainState:
    updates, optimizer = recipe.optimizers()[1].update(
        grads, state.discriminator_optimizer
    )
    params = optax.apply_updates(state.discriminator, updates)
    return dataclasses.replace(
        state, discriminator=params, discriminator_optimizer=optimizer
    )


def _update_generator(
    recipe: StyleGAN2Recipe, state: TrainState, grads: dict
) -> TrainState:
    updates, optimizer = recipe.optimizers()[0].update(grads, state.generator_optimizer)
    params = optax.apply_updates(state.generator, updates)
    return dataclasses.replace(state, generator=params, generator_optimizer=optimizer)


def _jit(step_fn: Callable) -> Callable:
    """Compiles `step_fn(recipe, state, ...)` for each recipe, donating the state."""
    return compiled(step_fn, static_argnums=0, donate_argnums=1)


jit_discriminator = _jit(discriminator_step)
jit_r1 = _jit(r1_step)
jit_generator = _jit(generator_step)
jit_path_length = _jit(path_length_step)
jit_finish = _jit(finish_step)


# The metrics of a regulariser, and the attribute that says how often it is due.
LAZY = {"r1": "r1_every", "r1_gradient": "r1_every"}
LAZY |= dict.fromkeys(("path_penalty", "path_length", "path_gradient"), "path_every")


def is_due(recipe: StyleGAN2Recipe, metric: str, step: int) -> bool:
    """Returns whether the step after `step` finished ones has a metric.

    Args:
        recipe: says how often each regulariser is due.
        metric: name of the metric.
        step: number of finished steps, from 0.
    """
    return metric not in LAZY or step % getattr(recipe, LAZY[metric]) == 0


def iteration(
    recipe: StyleGAN2Recipe,
    state: TrainState,
    images: Array,
    key: jax.Array,
    step: Int[Array, ""],
) -> tuple[TrainState, Metrics]:
    """Does what `StyleGAN2Recipe.train_step` does, for a `step` that may be traced.

    Regularisers are branches, for platforms that run branches at full speed. The
    metrics of a regulariser that is not due are 0, see `is_due`.

    Args:
        recipe: networks, family and hyperparameters.
        state: the state of the training.
        images: (batch, height, width, channels) in [-1, 1].
        key: PRNG key of the training, the same at every step.
        step: number of finished steps, from 0.
    """
    d_key, g_key, path_key = jax.random.split(jax.random.fold_in(key, step), 3)

    def lazily(
        every: int, regularise: Callable, state: TrainState, *given: Array
    ) -> tuple[TrainState, Metrics]:
        if not every:
            return state, {}
        run = functools.partial(regularise, recipe)
        _, shapes = jax.eval_shape(run, state, *given)
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        due = step % every == 0
        return jax.lax.cond(due, run, lambda state, *_: (state, zeros), state, *given)

    state, metrics = discriminator_step(recipe, state, images, d_key)
    state, r1 = lazily(recipe.r1_every, r1_step, state, images)
    state, more = generator_step(recipe, state, g_key)
    state, path = lazily(recipe.path_every, path_length_step, state, path_key)
    return finish_step(recipe, state), metrics | r1 | more | path


def without_mixing(generator: Generator) -> Generator:
    """Returns the generator without the style mixing of training."""
    if not hasattr(generator, "style_mixing"):
        return generator
    return generator.clone(style_mixing=0.0)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _sample_member(
    recipe: StyleGAN2Recipe, columns: int, params: dict, member: Array
) -> Float[Array, "columns height width channels"]:
    """Draws images of one member; all members share the z_0 and z_k of a column."""
    generator = without_mixing(recipe.generator)
    members = jnp.full(columns, member)
    return images_of(recipe.family, generator, params, sample_key(), members)
