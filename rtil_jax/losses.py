"""Adversarial losses of single images, and regularisers.

`rtil_jax.families.family_loss` sums those of fake images over a family, equation (2).
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def logistic_real(logits: Float[Array, " batch"]) -> Float[Array, " batch"]:
    """-log D(x) of each real image, with D = sigmoid(logits)."""
    return jax.nn.softplus(-logits)


def logistic_fake(logits: Float[Array, " batch"]) -> Float[Array, " batch"]:
    """-log(1 - D(G)) of each fake image, which the discriminator lowers."""
    return jax.nn.softplus(logits)


def nonsaturating(logits: Float[Array, " batch"]) -> Float[Array, " batch"]:
    """-log D(G) of each fake image (Goodfellow et al. 2014), which G lowers.

    Equation (2) prints the minimax form; the published models used this one.
    """
    return jax.nn.softplus(-logits)


def critic_real(scores: Float[Array, " batch"], drift: float) -> Float[Array, " batch"]:
    """-D(x) + drift D(x)^2 of each real image (Karras et al. 2018).

    The drift keeps scores from wandering off. A fake image costs a critic D(G), and G
    -D(G).
    """
    return drift * scores**2 - scores


def gradient_penalty(
    scores: Callable[[Array], Array],
    real: Float[Array, "batch h w c"],
    fakes: Float[Array, "batch h w c"],
    key: jax.Array,
) -> Float[Array, " batch"]:
    """(||grad_x D(x)||_2 - 1)^2 at random points between real and fake images.

    x = u real + (1 - u) fake with one u ~ U[0, 1] per image (Gulrajani et al. 2017).

    Args:
        scores: D, from images to one number each.
        real: images, `(batch, height, width, channels)`.
        fakes: of the same shape.
        key: of u.
    """
    u = jax.random.uniform(key, (real.shape[0], 1, 1, 1), jnp.float32)
    between = u * real + (1 - u) * fakes
    gradient = jax.grad(lambda x: jnp.sum(scores(x)))(between)
    # Without the 1e-12 the norm has no gradient where it is 0.
    norms = jnp.sqrt(jnp.sum(gradient**2, axis=(1, 2, 3)) + 1e-12)
    return (norms - 1) ** 2


def r1_penalty(
    logits: Callable[[Array], Array], images: Float[Array, "batch h w c"]
) -> Float[Array, ""]:
    """E ||grad_x D(x)||^2 on real images (Mescheder et al. 2018)."""
    gradient = jax.grad(lambda x: jnp.sum(logits(x)))(images)
    return jnp.sum(gradient**2) / images.shape[0]


def path_lengths(
    render: Callable[[Array], Array],
    styles: Float[Array, "batch layers latent"],
    key: jax.Array,
) -> Float[Array, " batch"]:
    """|| J_w^T y || for random images y (Karras et al. 2020, Section 3.2).

    y ~ N(0, I) / sqrt(height width); the norm is over the latent axis, and squares
    are averaged over layers, as in the public code.

    Args:
        render: styles to images `(batch, height, width, channels)`.
        styles: where the Jacobian is taken.
        key: draws y.
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
    """E (length - running mean of its member)^2, and the running means after it.

    Each member of the family keeps its own mean, which moves by `decay` towards the
    batch's, gradient included; a member absent from the batch keeps its mean.

    Args:
        lengths: from `path_lengths`, `(batch,)`.
        members: of each image, `(batch,)`.
        running_means: of each member, `(members,)`.
        decay: how far a mean moves towards the batch's.
    """
    count = running_means.shape[0]
    images = jax.ops.segment_sum(jnp.ones_like(lengths), members, count)
    totals = jax.ops.segment_sum(lengths, members, count)
    batch_means = totals / jnp.maximum(images, 1)
    moved = running_means + decay * (batch_means - running_means)
    means = jnp.where(images > 0, moved, running_means)
    penalty = jnp.mean((lengths - means[members]) ** 2)
    return penalty, jax.lax.stop_gradient(means)
