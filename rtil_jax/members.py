"""Choosing the members of a family whose images a training step makes.

A member is the number k of G^k; a family has len(weights) of them, and G itself is
member 0. See `rtil_jax.families`, which has these functions too.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rtil_jax.errors import UserError


def member_weights(
    num_members: int, weighting: Literal["paper", "uniform"], base_weight: float = 0.5
) -> tuple[float, ...]:
    """Weights of the members in the loss.

    >>> member_weights(3, "paper"), member_weights(4, "uniform")
    ((0.5, 0.25, 0.25), (0.25, 0.25, 0.25, 0.25))

    `paper` is equation (2): `base_weight` (lambda) on G and 1 - lambda shared equally
    by the others. `uniform` is what the public code runs: one share each.

    Args:
        num_members: K + 1, G itself included.
        weighting: `paper` or `uniform`.
        base_weight: lambda, of `paper`.
    """
    if num_members == 1:
        return (1.0,)
    if weighting == "uniform":
        return (1 / num_members,) * num_members
    others = (1 - base_weight) / (num_members - 1)
    return (base_weight,) + (others,) * (num_members - 1)


def draw_members(
    key: jax.Array, weights: tuple[float, ...], batch: int, group_size: int
) -> tuple[Int[Array, " batch"], Float[Array, " batch"]]:
    """Draws one member per group of `group_size` consecutive images.

    Stratified: group g takes the member at quantile (g + u) / groups with one uniform
    u, so that the members' shares are as close to `weights` as the number of groups
    allows, and are `weights` in expectation.

    Args:
        key: of the draw.
        weights: of the members, which sum to 1.
        batch: images, a multiple of `group_size`.
        group_size: consecutive images of one member.

    Returns:
        The member of each image, and each image's weight in a *sum* over the batch.
    """
    groups = batch // group_size
    start = jax.random.uniform(key, dtype=jnp.float32)
    quantiles = (jnp.arange(groups) + start) / groups
    edges = jnp.cumsum(jnp.array(weights, jnp.float32))[:-1]
    members = jnp.searchsorted(edges, quantiles, side="right")
    return jnp.repeat(members, group_size), jnp.full(batch, 1 / batch, jnp.float32)


def share_members(
    weights: tuple[float, ...], batch: int, group_size: int
) -> tuple[Int[np.ndarray, " batch"], Float[np.ndarray, " batch"]]:
    """Gives every group of `group_size` consecutive images one member.

    Group counts are the weights', rounded so that each member has a group; what the
    rounding took is given back by the images' weights, so a sum over the batch has the
    expectation of enumerating. The counts are constants: members of unequal cost need
    arrays of known sizes, and their cost per step stays that of the mean member.

    Args:
        weights: of the members, which sum to 1.
        batch: images, a multiple of `group_size`.
        group_size: consecutive images of one member.

    Returns:
        The member of each image, increasing, and each image's weight.

    Raises:
        UserError: if there are fewer groups than members.
    """
    groups, used = batch // group_size, np.flatnonzero(weights)
    if groups < len(used):
        raise UserError(
            f"found {batch} images in {groups} groups of {group_size}, expected at "
            f"least one group for each of the family's {len(used)} members: enlarge "
            "the batch, lower config.discriminator.stddev_group, or set "
            "config.family.members=enumerated"
        )
    shares = np.array(weights, np.float64) * groups
    counts = np.zeros(len(weights), int)
    counts[used] = 1
    while counts.sum() < groups:  # to whom most is owed; ties go to the cheaper member
        counts[np.argmax(np.round(shares - counts, 9))] += 1
    members = np.repeat(np.arange(len(weights)), counts * group_size)
    each = np.array(weights) / np.maximum(counts * group_size, 1)
    return members, each[members].astype(np.float32)


def enumerate_members(
    weights: tuple[float, ...], batch: int
) -> tuple[Int[np.ndarray, " images"], Float[np.ndarray, " images"]]:
    """All members, `batch` images of each: equation (2) term by term.

    Returns:
        The member of each of the `len(weights) * batch` images, and each image's
        weight in a sum over them.
    """
    members = np.repeat(np.arange(len(weights)), batch)
    return members, np.repeat(np.array(weights, np.float32) / batch, batch)
