"""Trains the model of Section 5 by gradient descent, and inverts it by ILO.

Training is supervised as in the paper, (6) and (7): a least-squares loss to the true
signal of the same z_0 and z_1, with known W*_0 and fresh draws at every step. There is
no discriminator, because Section 5 does not treat adversarial training, and a
distribution of images would determine W_1 only up to a rotation.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from rtil_jax.families import AdditiveFamily
from rtil_jax.generators import Generator, LinearGenerator
from rtil_jax.inversion import ILO, Prior, Problem, invert
from rtil_jax.operators import Gaussian
from rtil_jax.theory.closed_forms import Matrix, Truth

# (3) and (4) with lambda = 0, as in Section 5 of the paper.
FAMILIES = {
    "vanilla": AdditiveFamily(blocks=(), sigma=1.0, weights=(1.0,)),
    "rtil": AdditiveFamily(blocks=(1,), sigma=1.0, weights=(0.0, 1.0)),
}


def linear_generator(truth: Truth) -> LinearGenerator:
    """Returns the generator for these dimensions; n_d must be a square number."""
    (nd, n1), n0 = truth.w1.shape, truth.w0.shape[1]
    return LinearGenerator(resolution=round(nd**0.5), latent_dim=n0, num_features=n1)


def variables_of(w0: Matrix, w1: Matrix) -> dict:
    """Returns the variables of a `LinearGenerator`, in float32."""
    return {"params": {"W0": jnp.float32(w0), "W1": jnp.float32(w1)}}


def least_squares_loss(
    generator: Generator,
    family: AdditiveFamily,
    truth: dict,
    params: dict,
    key: jax.Array,
    batch: int,
) -> Float[Array, ""]:
    """Returns the loss (6) or (7) over a batch of draws, depending on the family.

    The last member of the family makes all images: G(z_0) for vanilla training, or else
    G~(z_0, z_1). The z_1 of the true signal is the same, or unknown to a vanilla model.

    Args:
        generator: the linear generator.
        family: vanilla for (6), or with one more member for (7).
        truth: variables of the true generator.
        params: variables of the model.
        key: the PRNG key of the draws.
        batch: number of draws.
    """
    family_key, hidden_key = jax.random.split(key)
    members = jnp.full(batch, family.num_members - 1)
    latents, fed = family.sample(generator, params, family_key, members)
    shape = (batch, *generator.intermediate_shape(1))
    drawn = {1: jax.random.normal(hidden_key, shape, jnp.float32)} | fed
    signals = generator.apply(truth, latents, drawn)
    images = family.decode(generator, params, (latents, fed))
    return jnp.sum((images - signals) ** 2) / batch


@functools.partial(jax.jit, static_argnames=("generator", "family", "steps", "batch"))
def train(
    generator: LinearGenerator,
    family: AdditiveFamily,
    truth: dict,
    key: jax.Array,
    *,
    steps: int,
    batch: int,
    learning_rate: float | Array,
) -> dict:
    """Trains W_1 by gradient descent from W_1 = 0; returns the variables.

    Descent from 0 finds the minimiser of (6) with the least norm, as the paper assumes
    for vanilla training, because the rows of each gradient lie in the range of W*_0. A
    random start would keep its part orthogonal to that range, and Adam, which rescales
    each entry, would leave the range. The rate falls to 0 by half a cosine, which
    averages out the z_1 that vanilla training does not see.

    Args:
        generator: the linear generator.
        family: vanilla for (6), or with one more member for (7).
        truth: variables of the true generator, whose W_0 is known.
        key: the PRNG key of all batches.
        steps: number of steps.
        batch: number of draws in each step.
        learning_rate: the rate of the first step, above 0.
    """
    w0 = truth["params"]["W0"]
    optimizer = optax.sgd(optax.cosine_decay_schedule(learning_rate, steps))

    def loss_fn(w1: Array, key: jax.Array) -> Float[Array, ""]:
        params = {"params": {"W0": w0, "W1": w1}}
        return least_squares_loss(generator, family, truth, params, key, batch)

    def step(
        carry: tuple[Array, Any], key: jax.Array
    ) -> tuple[tuple[Array, Any], None]:
        w1, state = carry
        updates, state = optimizer.update(jax.grad(loss_fn)(w1, key), state)
        return (optax.apply_updates(w1, updates), state), None

    start = jnp.zeros_like(truth["params"]["W1"])
    keys = jax.random.split(key, steps)
    (w1, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), keys)
    return {"params": {"W0": w0, "W1": w1}}


def invert_learned(
    generator: LinearGenerator,
    variables: dict,
    signals: Matrix,
    matrices: Float[np.ndarray, "batch m nd"],
    key: jax.Array,
    *,
    steps: int,
    learning_rate: float,
) -> Matrix:
    """Recovers signals from A x by the library's ILO, each with its own A.

    Stages 0 and 1 are the two lines of (5), by Adam. z_0 is not kept on a sphere,
    because (5) does not do that, and z_1 starts from 0.

    Args:
        generator: the linear generator.
        variables: variables of the model.
        signals: x, `(batch, n_d)`.
        matrices: A of each signal, `(batch, m, n_d)`.
        key: the PRNG key of the starts.
        steps: number of steps of each of the two stages.
        learning_rate: the highest rate of the schedule.
    """
    # The same images at the same scale as those of the generator.
    images = jnp.float32(signals).reshape(-1, *generator.intermediate_shape(2))
    operators = Gaussian(jnp.float32(matrices), generator.intermediate_shape(2))
    measurements = jax.vmap(lambda operator, x: operator(x))(operators, images)
    method = ILO(steps=(steps, steps), learning_rate=learning_rate, sphere=False)
    found = invert(
        method,
        Prior.of(generator, variables),
        Problem(operators, measurements),
        jax.random.split(key, len(signals)),
        progress=False,
    )
    return np.asarray(found.images, np.float64).reshape(signals.shape)
