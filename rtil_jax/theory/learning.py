"""The model of Section 5 trained by gradient descent and inverted by the library's ILO.

Training is the paper's, supervised: (6) and (7), a least-squares loss to the signal
that nature made of the same z_0 and z_1, W*_0 known, fresh draws at every step. There
is no discriminator: Section 5 leaves adversarial training out, and a distribution of
images would fix W_1 up to a rotation only.
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

# (3) and (4) with lambda = 0, as the paper takes it in Section 5.
FAMILIES = {
    "vanilla": AdditiveFamily(blocks=(), sigma=1.0, weights=(1.0,)),
    "rtil": AdditiveFamily(blocks=(1,), sigma=1.0, weights=(0.0, 1.0)),
}


def linear_generator(truth: Truth) -> LinearGenerator:
    """The architecture of the paper's dimensions; n_d must be a square."""
    (nd, n1), n0 = truth.w1.shape, truth.w0.shape[1]
    return LinearGenerator(resolution=round(nd**0.5), latent_dim=n0, num_features=n1)


def variables_of(w0: Matrix, w1: Matrix) -> dict:
    """The variables of a `LinearGenerator`, in float32."""
    return {"params": {"W0": jnp.float32(w0), "W1": jnp.float32(w1)}}


def least_squares_loss(
    generator: Generator,
    family: AdditiveFamily,
    truth: dict,
    params: dict,
    key: jax.Array,
    batch: int,
) -> Float[Array, ""]:
    """Equation (6) or (7), as the family has it, over a batch of draws.

    The last member of the family makes all images: G(z_0) if it is vanilla, and else
    G~(z_0, z_1). Nature's z_1 is the family's, or one that the family does not see.

    Args:
        generator: the linear one.
        family: vanilla for (6), of one member more for (7).
        truth: nature's variables.
        params: the model's variables.
        key: of the draws.
        batch: how many.
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
    """The variables after gradient descent on W_1, from W_1 = 0.

    Of the minimisers of (6), descent from 0 goes to that of the least norm, which the
    paper assumes of vanilla training: each gradient has its rows in the range of W*_0.
    From a random W_1, what is orthogonal to that range would stay random; and Adam,
    which rescales each entry, would leave the range. The rate falls to 0 by half a
    cosine, which averages out the z_1 that vanilla training does not see.

    Args:
        generator: the linear one.
        family: vanilla for (6), of one member more for (7).
        truth: nature's variables, whose W_0 is known.
        key: of all batches.
        steps: of descent.
        batch: draws of each step.
        learning_rate: of the first step.
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
    """Estimates of `signals` from A x, each with its A, by the library's ILO.

    Its stages 0 and 1 are the two lines of (5), by Adam. The sphere around z_0 is off,
    which (5) does not have, and z_1 starts from 0 as the library always has it.

    Args:
        generator: the linear one.
        variables: the model's.
        signals: x, `(batch, n_d)`.
        matrices: A of each, `(batch, m, n_d)`.
        key: of the starts.
        steps: of each of the two stages.
        learning_rate: at the top of the schedule.
    """
    # The same images at the same scale as those the generator makes.
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
