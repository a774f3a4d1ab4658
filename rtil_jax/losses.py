"""Adversarial losses of single images, and regularisers.

`rtil_jax.families.family_loss` sums the losses of fake images over a family, as in
equation (2).
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def logistic_real(logits: Float[Array, " batch"]) -> Float[Array, " batch"]:
    """Returns -log D(x) of each real image, with D = sigmoid(logits)."""
    return jax.nn.softplus(-logits)


def logistic_fake(logits: Float[Array, " batch"]) -> Float[Array, " batch"]:
    """Returns -log(1 - D(G)) of each fake image, which the discriminator minimises."""
    return jax.nn.softplus(logits)


def nonsaturating(logits: Float[Array, " batch"]) -> Float[Array, " batch"]:
    """Returns -log D(G) of each fake image (Goodfellow et al. 2014), which G minimises.

    Equation (2) prints the minimax form; the published models used this form.
    """
    return jax.nn.softplus(-logits)


def critic_real(scores: Float[Array, " batch"], drift: float) -> Float[Array, " batch"]:
    """Returns -D(x) + drift D(x)^2 of each real image (Karras et al. 2018).

    The drift keeps scores from growing. The critic's loss of a fake image is D(G), and
    the generator's is -D(G).
    """
    return drift * scores**2 - scores


def gradient_penalty(
    scores: Callable[[Array], Array],
    real: Float[Array, "batch h w c"],
    fakes: Float[Array, "batch h w c"],
    key: jax.Array,
) -> Float[Array, " batch"]:
    """Returns (||grad_x D(x)||_2 - 1)^2 at random points between real and fake images.

    x = u real + (1 - u) fake with one u ~ U[0, 1] per image (Gulrajani et al. 2017).

    Args:
        scores: D, which returns one number per image.
        real: real images, `(batch, height, width, channels)`.
        fakes: fake images of the same shape.
        key: the PRNG key of u.
    """
    u = jax.random.uniform(key, (real.shape[0], 1, 1, 1), jnp.float32)
    between = u * real + (1 - u) * fakes
    gradient = jax.grad(lambda x: jnp.sum(scores(x)))(between)
    # The 1e-12 gives the norm a gradient at 0.
    norms = jnp.sqrt(jnp.sum(gradient**2, axis=(1, 2, 3)) + 1e-12)
    return (norms - 1) ** 2


def r1_penalty(
    logits: Callable[[Array], Array], images: Float[Array, "batch h w c"]
) -> Float[Array, ""]:
    """Returns E ||grad_x D(x)||^2 on real images (Mescheder et al. 2018)."""
    gradient = jax.grad(lambda x: jnp.sum(logits(x)))(images)
    return jnp.sum(gradient**2) / images.shape[0]


def path_lengths(
    render: Callable[[Array], Array],
    styles: Float[Array, "batch layers latent"],
    key: jax.Array,
) -> Float[Array, " batch"]:
    """Returns || J_w^T y || for random images y (Karras et al. 2020, Section 3.2).

    y ~ N(0, I) / sqrt(height width). The norm is over the latent axis, and squares are
    averaged over layers, as in the public code.

    Args:
        render: maps styles to images `(batch, height, width, channels)`.
        styles: `(batch, layers, latent)`, where the Jacobian J_w is taken.
        key: the PRNG key of y.
    """
    images, pullback = jax.vjp(render, styles)
    height, width = images.shape[1:3]
    scale = 1 / math.sqrt(height * width)
    noise = scale * jax.random.normal(key, images.shape, jnp.float32)
    (gradient,) = pullback(noise)
    return jnp.sqrt(jnp.mean(jnp.sum(gradient**2, axis=-1), axis=-1))


def path_length_penalty(
    lengths: Float[Array, " batch"],
    members: Array,
    running_means: Float[Array, " members"],
    decay: float = 0.01,
) -> tuple[Float[Array, ""], Float[Array, " members"]]:
    """Returns E (length - running mean of its member)^2, and the new running means.

    Each member of the family has its own mean, which moves towards the mean of the
    batch, also in the gradient. A member that is not in the batch keeps its mean.

    Args:
        lengths: `(batch,)`, from `path_lengths`.
        members: `(batch,)`, the member of each image.
        running_means: `(members,)`, the mean of each member.
        decay: how far a mean moves towards that of the batch, in [0, 1].
    """
    count = running_means.shape[0]
    images = jax.ops.segment_sum(jnp.ones_like(lengths), members, count)
    totals = jax.ops.segment_sum(lengths, members, count)
    batch_means = totals / jnp.maximum(images, 1)
    moved = running_means + decay * (batch_means - running_means)
    means = jnp.where(images > 0, moved, running_means)
    penalty = jnp.mean((lengths - means[members]) ** 2)
    return penalty, jax.lax.stop_gradient(means)
