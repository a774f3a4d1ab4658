"""The RTIL principle: train a family of generators, not one (Section 3).

A family is a distribution over the extra inputs of one set of weights. Member 0 is
the base model G; the others feed random intermediate inputs to the same weights, drawn
as inversion will later optimise them. Vanilla training is the family of one member.

Equation (2) is an expectation over members. The public code evaluates every member in
every step, at several times the cost; here each minibatch-stddev group comes from
*one* member, which is the same objective in expectation at the mean member's cost.
Enumerating all members is kept for small studies and for the test of that claim.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rtil_jax.errors import UserError
from rtil_jax.generators import Generator, mix_codes, sample_latents
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

    def __str__(self) -> str:
        return f"sigma {self.sigma}, after blocks {self.blocks}"

    def sample(
        self,
        generator: Generator,
        params: dict,
        key: jax.Array,
        members: Int[Array | np.ndarray, " batch"],
    ) -> tuple[Latents, Intermediates]:
        """The inputs (z_0, {j: z_j}) of one image per entry of `members`."""
        latent_key, *keys = jax.random.split(key, len(self.blocks) + 1)
        batch = members.shape[0]
        intermediates = {}
        for site, (block, site_key) in enumerate(zip(self.blocks, keys, strict=True)):
            shape = (batch, *generator.intermediate_shape(block))
            perturbed = (members > site).reshape(-1, 1, 1, 1)
            noise = self.sigma * jax.random.normal(site_key, shape, jnp.float32)
            intermediates[block] = jnp.where(perturbed, noise, 0.0)
        return sample_latents(generator, params, latent_key, batch), intermediates

    def decode(
        self, generator: Generator, params: dict, inputs: tuple[Latents, Intermediates]
    ) -> Float[Array, "batch height width channels"]:
        """The images of what `sample` returns."""
        return generator.apply(params, *inputs)


@dataclasses.dataclass(frozen=True)
class MultiCodeFamily:
    """RTIL for mGANprior (Section 3.2): member k mixes `codes[k]` codes at `block`.

        g_1(sum_n alpha_n g_0(z^n)),  z^n ~ p(z_0),  alpha ~ Dirichlet(1)

    with one alpha_n for all channels and pixels. One code is G itself. Blocks after
    `block` read the first code's latents, if they read any.

    Attributes:
        codes: N of each member, the first of them 1; (1,) is vanilla training.
        block: where the codes are mixed, counted from 1.
        weights: of each member in the loss.
    """

    codes: tuple[int, ...]
    block: int
    weights: tuple[float, ...]

    @property
    def num_members(self) -> int:
        return len(self.codes)

    def __str__(self) -> str:
        return f"{self.codes} codes, mixed after block {self.block}"

    def sample(
        self,
        generator: Generator,
        params: dict,
        key: jax.Array,
        members: Int[np.ndarray, " batch"],
    ) -> tuple[Latents, tuple[Float[Array, "_ _ 1"], ...]]:
        """The codes of all images, and their alpha.

        Args:
            members: of each image, increasing. Not traced, because the number of codes
                depends on them: all codes are *one* batch, so that no work is padding.

        Returns:
            Latents with a leading axis of codes, those of an image side by side, and
            for each member that occurs the alpha of its images.
        """
        counts = [(n, int(np.sum(members == k))) for k, n in enumerate(self.codes)]
        latent_key, *keys = jax.random.split(key, len(counts) + 1)
        total = sum(n * images for n, images in counts)
        weights = tuple(
            flat_dirichlet(key, (images, n))[:, :, None]
            for key, (n, images) in zip(keys, counts, strict=True)
            if images
        )
        return sample_latents(generator, params, latent_key, total), weights

    def decode(
        self,
        generator: Generator,
        params: dict,
        inputs: tuple[Latents, tuple[Float[Array, "_ _ 1"], ...]],
    ) -> Float[Array, "batch height width channels"]:
        """The images of what `sample` returns."""
        latents, weights = inputs
        features = generator.apply(params, latents, self.block, method="head")
        mixed, firsts, start = [], [], 0
        for alpha in weights:  # of one member each
            images, codes, _ = alpha.shape
            rows = slice(start, start + images * codes)
            own = jax.tree.map(lambda x, rows=rows: x[rows], features)
            mixed.append(mix_codes(own, alpha))
            firsts.append(np.arange(start, rows.stop, codes))
            start = rows.stop
        features = jax.tree.map(lambda *parts: jnp.concatenate(parts), *mixed)
        latents = jax.tree.map(lambda x: x[np.concatenate(firsts)], latents)
        return generator.apply(params, features, latents, self.block, method="tail")


def flat_dirichlet(
    key: jax.Array, shape: tuple[int, ...]
) -> Float[Array, "*images codes"]:
    """Dirichlet(1): uniform over the weights of `codes` codes that sum to 1."""
    # An exponential draw can be 0, and 0 / 0 would be the weight of a single code.
    drawn = jnp.maximum(jax.random.exponential(key, shape, jnp.float32), 1e-30)
    return drawn / jnp.sum(drawn, axis=-1, keepdims=True)


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
