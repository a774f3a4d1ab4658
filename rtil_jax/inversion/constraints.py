"""Constraints and penalties that keep the variables where the prior is likely.

All functions treat each image of the leading batch axis separately.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from rtil_jax.inversion.problems import Problem, count_measurements, mean_square

PriorForm = Literal["gaussian", "shell", "relative"]


def to_sphere(
    x: Float[Array, "batch *rest"],
    start: Float[Array, "batch *rest"],
    axes: tuple[int, ...],
) -> Float[Array, "batch *rest"]:
    """Rescales x to the norm that `start` has over `axes`.

    A Gaussian vector with many entries lies near a sphere; ILO keeps styles and noise
    maps on the sphere that they were drawn on (as PULSE does; Menon et al. 2020).

    Args:
        x: `(batch, ...)`.
        start: sets the norms; the same shape as x.
        axes: the axes that make up one vector.
    """

    def norm(v: Array) -> Array:
        return jnp.sqrt(jnp.sum(v**2, axes, keepdims=True))

    return x * (norm(start) / jnp.maximum(norm(x), 1e-12))


def to_l1_ball(
    x: Float[Array, "batch *rest"],
    centre: Float[Array, "batch *rest"],
    radius: float | Array,
) -> Float[Array, "batch *rest"]:
    """Returns the nearest point with ||x - centre||_1 <= radius (Daras et al. 2021).

    Args:
        x: `(batch, ...)`; all entries of an image make up one vector.
        centre: the centre of each ball; the same shape as x.
        radius: the radius of all balls, at least 0.
    """

    def project(x: Array) -> Array:
        # Not `projection_l1_ball`, which in 64-bit mode refuses float32.
        on_sphere = optax.projections.projection_l1_sphere(x, radius)
        inside = jnp.sum(jnp.abs(x)) <= radius
        return jnp.where(inside, x, on_sphere.astype(x.dtype))

    return centre + jax.vmap(project)(x - centre)


def geocross(styles: Float[Array, "batch layers latent"]) -> Float[Array, " batch"]:
    """Returns the mean squared angle between the styles of all pairs of layers.

    With PULSE's weighting it is the mean over i, j of
    latent_dim (2 atan2(||z_i - z_j||, ||z_i + z_j||))^2 / 8. As a penalty it pulls the
    styles of all layers together; in samples of the generator they are equal.
    """
    first, second = styles[:, :, None], styles[:, None]

    def norm(v: Array) -> Array:
        return jnp.sqrt(jnp.sum(v**2, axis=-1) + 1e-9)

    angle = 2 * jnp.arctan2(norm(first - second), norm(first + second))
    return styles.shape[-1] * jnp.mean(angle**2, axis=(1, 2)) / 8


def relative_scale(
    problem: Problem, images: Float[Array, "batch height width channels"]
) -> Float[Array, " batch"]:
    """Returns (n / m) ||y||^2 / m, for n pixels and m measurements.

    A penalty is multiplied by it so that one weight serves every operator. ||y||^2 / m
    is the loss of A(G) = 0. n / m strengthens the penalty where less is measured, as if
    the loss were a sum of squared errors rather than their mean.
    """
    return mean_square(problem) * images[0].size / count_measurements(problem)


def relative_pull(
    weight: float | Array | None,
    variables: Any,
    problem: Problem,
    images: Float[Array, "batch height width channels"],
) -> Float[Array, "*batch"]:
    """Returns weight * mean(z^2) * `relative_scale`, a penalty that pulls z to zero.

    The mean is over all entries of an image's variables. Methods that search
    z ~ N(0, I), or features in their own units, add it to their loss.

    Args:
        weight: of the pull, at least 0; None returns 0.
        variables: z, a tree of arrays `(batch, ...)`.
        problem: holds the measurements y.
        images: `(batch, height, width, channels)`; only their size is read.
    """
    if weight is None:
        return jnp.zeros((), jnp.float32)
    leaves = [x.reshape(len(x), -1) for x in jax.tree.leaves(variables)]
    square = jnp.mean(jnp.concatenate(leaves, axis=1) ** 2, axis=1)
    return weight * square * relative_scale(problem, images)


def prior_penalty(
    z: Float[Array, "batch *rest"], sigma: float | Array, form: PriorForm
) -> Float[Array, " batch"]:
    """Returns how far z is from a draw of N(0, sigma^2 I), the prior of RTIL training.

    Let q = ||z||^2 / (n sigma^2), where z has n entries. `gaussian` is q, which is
    -log p(z) up to scale and a constant, and lowest at 0. `shell` is (sqrt(q) - 1)^2,
    lowest where draws lie, because q of a draw is 1 +- sqrt(2 / n). Both are means over
    entries, so a weight means the same for z of any size. `relative` is q too; the
    stage multiplies it by `relative_scale`.

    Args:
        z: `(batch, ...)`; all entries of an image make up one vector.
        sigma: the standard deviation of the prior, above 0.
        form: `gaussian`, `shell` or `relative`.
    """
    q = jnp.mean((z / sigma) ** 2, axis=tuple(range(1, z.ndim)))
    if form != "shell":
        return q
    # The root has no derivative at z = 0, where ILO starts.
    return (jnp.sqrt(q + 1e-12) - 1) ** 2
