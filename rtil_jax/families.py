"""The RTIL principle: train a family of generators, not one (Section 3).

A family is a distribution over the extra inputs of one set of weights. Member 0 is
the base model G; the others feed random intermediate inputs to the same weights, drawn
as inversion will later optimise them. Vanilla training is the family of one member.

Equation (2), the loss of a family, is `family_loss`. It is an expectation over members.
The public code evaluates every member in every step, at several times the cost; here
each minibatch-stddev group comes from *one* member, which is the same objective in
expectation at the mean member's cost. Enumerating all members is kept for small studies
and for the test of that claim.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rtil_jax.devices import constrain_batch
from rtil_jax.generators import Generator, mix_codes, sample_latents
from rtil_jax.generators.interface import Intermediates, Latents
from rtil_jax.generators.scales import feature_rms
from rtil_jax.members import draw_members as draw_members
from rtil_jax.members import enumerate_members as enumerate_members
from rtil_jax.members import member_weights as member_weights
from rtil_jax.members import share_members as share_members

SigmaUnits = Literal["absolute", "features"]


def family_loss(
    loss: Callable[..., Any],
    fakes: Float[Array, "minibatches batch height width channels"],
    weights: Float[Array | np.ndarray, "minibatches batch"],
    *more: Array,
) -> Any:
    """The expectation over the family's members in equation (2).

        min over G, max over D of   E log D(x) + sum_k w_k E log(1 - D(G^k(z)))

    w_0 = lambda is the weight of the base model G^0 = G and w_k = (1 - lambda) / K that
    of each other member (see `member_weights`). Which members the images are of,
    `choose_members` says, and with it each image's weight: the sum is the same in
    expectation, whether members were drawn or enumerated.

    Args:
        loss: of one minibatch, `(batch, height, width, channels)`, and the entry of
            each of `more` that belongs to it: one number per image, `(batch,)`, such as
            log(1 - D), or a tree of those. D may compare the images of a minibatch.
        fakes: the members' images.
        weights: of each image; all together sum to 1.
        more: arrays with a leading axis of minibatches.

    Returns:
        The weighted sum, or a tree of those.
    """
    found = jax.vmap(loss)(fakes, *more)
    flat = weights.reshape(-1)
    return jax.tree.map(lambda x: jnp.sum(flat * x.reshape(-1)), found)


@runtime_checkable
class Family(Protocol):
    """A distribution over the extra inputs of a generator. Hashable."""

    @property
    def weights(self) -> tuple[float, ...]:
        """The weight of each member in the loss, G itself first; they sum to 1."""

    @property
    def num_members(self) -> int:
        """K + 1; 1 is vanilla training."""

    def choose(
        self, key: Any, batch: int, group_size: int
    ) -> tuple[Int[Array | np.ndarray, " batch"], Float[Array | np.ndarray, " batch"]]:
        """One member for each group of `group_size` consecutive images.

        Args:
            key: of the draw, None for a family whose choice is always the same.
            batch: a multiple of `group_size`.
            group_size: of the groups.

        Returns:
            The member of each image, and each image's weight in a *sum* over the batch,
            whose expectation is equation (2).
        """

    def sample(
        self, generator: Generator, params: dict, key: jax.Array, members: Any
    ) -> tuple[Latents, Any]:
        """(z_0, the extra inputs), for one image per entry of `members`.

        Args:
            generator: any with the interface of `rtil_jax.generators`.
            params: its variables, `{"params": ...}`.
            key: of the draw.
            members: of each image, `(batch,)`: 0 for G itself.
        """

    def decode(
        self, generator: Generator, params: dict, inputs: tuple[Latents, Any]
    ) -> Float[Array, "batch height width channels"]:
        """The images of what `sample` returns.

        Args:
            generator: any with the interface of `rtil_jax.generators`.
            params: its variables, `{"params": ...}`.
            inputs: from `sample`.
        """


@dataclasses.dataclass(frozen=True)
class AdditiveFamily:
    """RTIL for ILO (Section 3.1): G^k(z_0, ..., z_k) perturbs the first k `blocks`.

    z_0 ~ p(z_0) and z_j ~ N(0, (sigma s_j)^2 I) is added to the features after block j.
    In the paper s_j is 1, and a generator can make the noise matter less by making its
    features larger. With `sigma_units="features"` it cannot: s_j is then the root mean
    square of G's own features after block j, over all images of the batch whatever
    their members, and a constant to the gradient.

    Attributes:
        blocks: the perturbed blocks, increasing; () is vanilla training.
        sigma: standard deviation of the perturbations; 1 in the paper.
        weights: probability of each member G^0, ..., G^K in the loss.
        sigma_units: of sigma: `absolute` (the paper), or `features`.
    """

    blocks: tuple[int, ...]
    sigma: float
    weights: tuple[float, ...]
    sigma_units: SigmaUnits = "absolute"

    @property
    def num_members(self) -> int:
        return len(self.blocks) + 1

    def __str__(self) -> str:
        units = " of the features' rms" if self.sigma_units == "features" else ""
        return f"sigma {self.sigma}{units}, after blocks {self.blocks}"

    def choose(
        self, key: jax.Array, batch: int, group_size: int
    ) -> tuple[Int[Array, " batch"], Float[Array, " batch"]]:
        """Draws the members, which cost the same.

        Args:
            key: of the draw.
            batch: images, a multiple of `group_size`.
            group_size: consecutive images of one member.
        """
        return draw_members(key, self.weights, batch, group_size)

    def sample(
        self,
        generator: Generator,
        params: dict,
        key: jax.Array,
        members: Int[Array | np.ndarray, " batch"],
    ) -> tuple[Latents, Intermediates]:
        """The inputs (z_0, {j: z_j}) of one image per entry of `members`.

        Args:
            generator: any with the interface of `rtil_jax.generators`.
            params: its variables, `{"params": ...}`.
            key: of the draw.
            members: of each image, `(batch,)`: 0 for G itself.
        """
        latent_key, *keys = jax.random.split(key, len(self.blocks) + 1)
        batch = members.shape[0]
        intermediates = {}
        for site, (block, site_key) in enumerate(zip(self.blocks, keys, strict=True)):
            shape = (batch, *generator.intermediate_shape(block))
            perturbed = (members > site).reshape(-1, 1, 1, 1)
            noise = self.sigma * jax.random.normal(site_key, shape, jnp.float32)
            intermediates[block] = jnp.where(perturbed, noise, 0.0)
        latents = sample_latents(generator, params, latent_key, batch)
        if self.sigma_units == "features":
            # One device's images are measured there, though the mean is over all.
            of = jax.lax.stop_gradient((params, constrain_batch(latents)))
            scales = feature_rms(generator, *of, self.blocks)
            intermediates = {k: scales[k] * z for k, z in intermediates.items()}
        return latents, intermediates

    def decode(
        self, generator: Generator, params: dict, inputs: tuple[Latents, Intermediates]
    ) -> Float[Array, "batch height width channels"]:
        """The images of what `sample` returns.

        Args:
            generator: any with the interface of `rtil_jax.generators`.
            params: its variables, `{"params": ...}`.
            inputs: from `sample`.
        """
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

    def choose(
        self, key: jax.Array | None, batch: int, group_size: int
    ) -> tuple[Int[np.ndarray, " batch"], Float[np.ndarray, " batch"]]:
        """Shares the batch among the members, always alike: no key is read.

        Args:
            key: not read.
            batch: images, a multiple of `group_size`.
            group_size: consecutive images of one member.
        """
        return share_members(self.weights, batch, group_size)

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
        """The images of what `sample` returns.

        Args:
            generator: any with the interface of `rtil_jax.generators`.
            params: its variables, `{"params": ...}`.
            inputs: from `sample`.
        """
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


def images_of(
    family: Family,
    generator: Generator,
    variables: dict,
    key: jax.Array,
    members: Int[Array | np.ndarray, " batch"],
) -> Float[Array, "batch height width channels"]:
    """An image of each member. With one key, additive members share their z_0.

    Args:
        family: whose members.
        generator: any with the interface of `rtil_jax.generators`.
        variables: its variables, `{"params": ...}`.
        key: of the inputs.
        members: of each image, `(batch,)`: 0 for G itself.
    """
    inputs = family.sample(generator, variables, key, members)
    return family.decode(generator, variables, inputs)


def flat_dirichlet(
    key: jax.Array, shape: tuple[int, ...]
) -> Float[Array, "*images codes"]:
    """Dirichlet(1): uniform over the weights of `codes` codes that sum to 1."""
    # An exponential draw can be 0, and 0 / 0 would be the weight of a single code.
    drawn = jnp.maximum(jax.random.exponential(key, shape, jnp.float32), 1e-30)
    return drawn / jnp.sum(drawn, axis=-1, keepdims=True)


def choose_members(
    family: Family,
    key: jax.Array | None,
    batch: int,
    group_size: int,
    enumerated: bool,
) -> tuple[
    Int[Array | np.ndarray, " images"],
    Float[Array | np.ndarray, "minibatches batch"],
]:
    """Chooses the member of each image of a step, and its weight in `family_loss`.

    Args:
        family: whose members.
        key: as for `Family.choose`.
        batch: images of a minibatch.
        group_size: images in a group of one member, which D may compare.
        enumerated: evaluate all members, each a minibatch of its own, in place of one
            member for each group of a single minibatch.
    """
    members, weights = (
        enumerate_members(family.weights, batch)
        if enumerated
        else family.choose(key, batch, group_size)
    )
    return members, weights.reshape(-1, batch)
