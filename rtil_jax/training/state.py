"""The state of a training run: everything that it must remember between two steps."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from rtil_jax import generators
from rtil_jax.discriminators import Discriminator


@struct.dataclass
class TrainState:
    """The arrays of a training run, as a pytree.

    It holds no PRNG key (see `rtil_jax.training.keys`). Its leaves may also be shapes
    or shardings in place of arrays.

    Attributes:
        step: number of finished steps, an int32 scalar.
        generator: variables of the generator.
        discriminator: variables of the discriminator.
        generator_optimizer: optax state.
        discriminator_optimizer: optax state.
        ema: exponential moving average of `generator`; this is the prior.
        path_means: `(members,)`, running mean of the path length of each member of the
            family; None without a path-length penalty.
    """

    step: Any
    generator: Any
    discriminator: Any
    generator_optimizer: optax.OptState
    discriminator_optimizer: optax.OptState
    ema: Any
    path_means: Any = None


@dataclasses.dataclass(frozen=True)
class Progress:
    """What a run must remember besides its arrays; every checkpoint contains it.

    Attributes:
        metrics: the newest value of each metric.
        skipped_images: how many images rollbacks have skipped, see
            `config.checkpoint.rollbacks`.
        rollbacks: how often the run went back to an earlier checkpoint.
    """

    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    skipped_images: int = 0
    rollbacks: int = 0


def lazy_adam(learning_rate: float, every: int) -> optax.GradientTransformation:
    """Returns Adam(0, 0.99), corrected for a regulariser that acts every few steps.

    With c = every / (every + 1), the learning rate becomes lr c and beta_2 becomes
    0.99^c (Karras et al. 2020, Appendix B). `every` = 0 means no regulariser.
    """
    ratio = every / (every + 1) if every else 1.0
    return optax.adam(learning_rate * ratio, b1=0.0, b2=0.99**ratio)


def adam_per_module(learning_rate: float) -> optax.GradientTransformation:
    """Returns Adam(0, 0.99) with a step counter for each module of the network.

    An update may lack modules; their state then stays. A growing network reaches its
    last modules late, and Adam's bias correction counts from that step. (A common
    counter would make their first updates ten times too large.)
    """
    adam = optax.adam(learning_rate, b1=0.0, b2=0.99)

    def init(params: optax.Params) -> optax.OptState:
        return {name: adam.init(module) for name, module in params["params"].items()}

    def update(
        grads: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        del params
        pairs = {
            name: adam.update(module, state[name])
            for name, module in grads["params"].items()
        }
        updates = {name: update for name, (update, _) in pairs.items()}
        new_state = state | {name: module for name, (_, module) in pairs.items()}
        return {"params": updates}, new_state

    return optax.GradientTransformation(init, update)


def create_state(
    key: jax.Array,
    generator: generators.Generator,
    discriminator: Discriminator,
    optimizers: tuple[optax.GradientTransformation, optax.GradientTransformation],
    path_means: jax.Array | None = None,
) -> TrainState:
    """Returns a state with fresh weights; the moving average equals the generator.

    Args:
        key: the PRNG key of the weights.
        generator: at full resolution.
        discriminator: scores the generator's images.
        optimizers: of the generator and of the discriminator.
        path_means: `(members,)`; None without a path-length penalty.
    """
    generator_key, discriminator_key = jax.random.split(key)
    params = generators.init(generator, generator_key)
    size = generator.resolution
    images = jnp.zeros((2, size, size, generator.channels), jnp.float32)
    discriminator_params = discriminator.init(discriminator_key, images)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        generator=params,
        discriminator=discriminator_params,
        generator_optimizer=optimizers[0].init(params),
        discriminator_optimizer=optimizers[1].init(discriminator_params),
        # A copy: donated buffers must not be shared by two leaves.
        ema=jax.tree.map(jnp.copy, params),
        path_means=path_means,
    )
