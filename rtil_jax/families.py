"""The RTIL principle: train a family of generators, not one (Section 3).

A family is a distribution over the extra inputs of one set of weights. Member 0 is
the base model G; the others feed random intermediate inputs to the same weights, drawn
as inversion will later optimise them. Vanilla training is the family of one member.

Equation (2) is an expectation over members. The public code evaluates every member in
every step, at five times the cost; here each minibatch-stddev group is *drawn* from
one member, which is the same objective in expectation at the cost of vanilla training.
Enumerating all members is kept for small studies and for the test of that claim.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from rtil_jax.generators import Generator, sample_latents
from rtil_jax.generators.interface import Intermediates, Latents


@dataclasses.dataclass(frozen=True)
class AdditiveFamily:
    """RTIL for ILO (Section 3.1): G^k(z_0, ..., z_k) perturbs the first k `blocks`.

    z_0 ~ p(z_0) and z_j ~ N(0, sigma^2 I) is added to the features after block j.

    Attributes:
        blocks: the perturbed blocks, increasing; () is vanilla training.
        sigma: standard deviation of the perturbations; 1 in the paper.
        weights: probability of each member G^0, ..., G^K in the loss.
    """

    blocks: tuple[int, ...]
    sigma: float
    weights: tuple[float, ...]

    @property
    def num_members(self) -> int:
        return len(self.blocks) + 1

    def sample(
        self,
        generator: Generator,
        params: dict,
        key: jax.Array,
        members: Int[Array, " batch"],
    ) -> tuple[Latents, Intermediates]:
        """The inputs (z_0, {j: z_j}) of one image per entry of `members`."""
        latent_key, *keys = jax.random.split(key, len(self.blocks) + 1)
        batch = members.shape[0]
        intermediates = {}
        for site, (block, site_key) in enumerate(zip(self.blocks, keys, strict=True)):
            shape = (batch, *generator.intermediate_shape(block))
            perturbed = (members > site).reshape(-1, 1, 1, 1)
            noise = self.sigma * jax.random.normal(site_key, shape)
            intermediates[block] = jnp.where(perturbed, noise, 0.0)
        return sample_latents(generator, params, latent_key, batch), intermediates

    def decode(
        self, generator: Generator, params: dict, inputs: tuple[Latents, Intermediates]
    ) -> Float[Array, "batch height width channels"]:
        """The images of what `sample` returns."""
        return generator.apply(params, *inputs)


def member_weights(
    num_members: int, weighting: Literal["paper", "uniform"], base_weight: float = 0.5
) -> tuple[float, ...]:
    """Weights of the members in the loss.

    `paper` is equation (2): `base_weight` (lambda) on G and 1 - lambda shared equally
    by the others. `uniform` is what the public code runs: one share each.
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

    Returns:
        The member of each image, and each image's weight in a *sum* over the batch.
    """
    groups = batch // group_size
    quantiles = (jnp.arange(groups) + jax.random.uniform(key)) / groups
    edges = jnp.cumsum(jnp.array(weights))[:-1]
    members = jnp.searchsorted(edges, quantiles, side="right")
    return jnp.repeat(members, group_size), jnp.full(batch, 1 / batch)


def enumerate_members(
    weights: tuple[float, ...], batch: int
) -> tuple[Int[Array, " images"], Float[Array, " images"]]:
    """All members, `batch` images of each: equation (2) term by term.

    Returns:
        The member of each of the `len(weights) * batch` images, and each image's
        weight in a sum over them.
    """
    members = jnp.repeat(jnp.arange(len(weights)), batch)
    return members, jnp.repeat(jnp.array(weights) / batch, batch)
