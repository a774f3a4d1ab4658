"""Chooses the members of a family whose images a training step makes.

A member is the number k of G^k; G itself is member 0, and a family has len(weights)
members. `rtil_jax.families` exports these functions too.
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
    """Returns the weights of the members in the loss.

    >>> member_weights(3, "paper"), member_weights(4, "uniform")
    ((0.5, 0.25, 0.25), (0.25, 0.25, 0.25, 0.25))

    `paper` is equation (2): `base_weight` (lambda) for G, and 1 - lambda shared equally
    by the other members. `uniform`, which the public code uses, gives equal weights.

    Args:
        num_members: K + 1, including G itself.
        weighting: `paper` or `uniform`.
        base_weight: lambda in [0, 1], for `paper`.
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
    """Draws one member for each group of consecutive images.

    The draw is stratified: group g takes the member at quantile (g + u) / groups, with
    one uniform u. So the shares of the members are as close to `weights` as the number
    of groups allows, and equal `weights` in expectation.

    Args:
        key: the PRNG key of the draw.
        weights: the weight of each member; they sum to 1.
        batch: number of images, a multiple of `group_size`.
        group_size: number of consecutive images of one member.

    Returns:
        The member of each image, and its weight in a *sum* over the batch.
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
    """Shares the groups of consecutive images among all members.

    The number of groups of a member follows from its weight, rounded so that each
    member has a group. The weights of images correct for the rounding, so a sum over
    the batch has the same expectation as evaluating all members. The numbers are
    constants, because members with different costs need arrays of fixed sizes.

    Args:
        weights: the weight of each member; they sum to 1.
        batch: number of images, a multiple of `group_size`.
        group_size: number of consecutive images of one member.

    Returns:
        The member of each image, in increasing order, and its weight.

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
    while counts.sum() < groups:  # to the most underrepresented, cheaper ones first
        counts[np.argmax(np.round(shares - counts, 9))] += 1
    members = np.repeat(np.arange(len(weights)), counts * group_size)
    each = np.array(weights) / np.maximum(counts * group_size, 1)
    return members, each[members].astype(np.float32)


def enumerate_members(
    weights: tuple[float, ...], batch: int
) -> tuple[Int[np.ndarray, " images"], Float[np.ndarray, " images"]]:
    """Gives every member `batch` images, as equation (2) is written.

    Returns:
        The member of each of the `len(weights) * batch` images, and its weight in a sum
        over all images.
    """
    members = np.repeat(np.arange(len(weights)), batch)
    return members, np.repeat(np.array(weights, np.float32) / batch, batch)
