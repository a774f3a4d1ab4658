"""Families: RTIL trains a family of generators instead of a single one (Section 3).

A family is a distribution over the extra inputs of one set of weights. Member 0 is the
base model G. The other members feed random inputs to intermediate layers of the same
weights, because inversion will later optimise these inputs. Vanilla training is the
family with one member.

`family_loss` is equation (2), an expectation over members. The public code evaluates
every member in every step, at several times the cost. Here each minibatch-stddev group
comes from *one* member, which has the same expectation at the cost of the mean member.
Evaluating all members is kept for small studies and to test that claim.
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
    """Returns the expectation over the members of a family in equation (2).

        min over G, max over D of   E log D(x) + sum_k w_k E log(1 - D(G^k(z)))

    w_0 = lambda is the weight of the base model G^0 = G, and w_k = (1 - lambda) / K
    that of each other member (see `member_weights`). `choose_members` chooses the
    member and the weight of each image. The expectation of the sum does not depend on
    whether members were drawn or enumerated.

    Args:
        loss: a function of one minibatch, `(batch, height, width, channels)`, and of
            its entries of `more`. It returns one number per image, `(batch,)`, such as
            log(1 - D), or a tree of them. D may compare the images of a minibatch.
        fakes: `(minibatches, batch, height, width, channels)`, the members' images.
        weights: `(minibatches, batch)`, the weight of each image; they sum to 1.
        more: arrays with a leading axis of minibatches.

    Returns:
        The weighted sum, or a tree of them.
    """
    found = jax.vmap(loss)(fakes, *more)
    flat = weights.reshape(-1)
    return jax.tree.map(lambda x: jnp.sum(flat * x.reshape(-1)), found)


@runtime_checkable
class Family(Protocol):
    """The interface of a family: a distribution over the extra inputs of a generator.

    Implementations are hashable.
    """

    @property
    def weights(self) -> tuple[float, ...]:
        """The weight of each member in the loss, G itself first; weights sum to 1."""

    @property
    def num_members(self) -> int:
        """The number of members, K + 1; 1 is vanilla training."""

    def choose(
        self, key: Any, batch: int, group_size: int
    ) -> tuple[Int[Array | np.ndarray, " batch"], Float[Array | np.ndarray, " batch"]]:
        """Chooses one member for each group of consecutive images.

        Args:
            key: the PRNG key of the draw; None for a family that chooses always alike.
            batch: number of images, a multiple of `group_size`.
            group_size: number of images in a group.

        Returns:
            The member of each image, and the weight of each image in a *sum* over the
            batch, whose expectation is equation (2).
        """

    def sample(
        self, generator: Generator, params: dict, key: jax.Array, members: Any
    ) -> tuple[Latents, Any]:
        """Draws (z_0, extra inputs) for one image per entry of `members`.

        Args:
            generator: any with the interface of `rtil_jax.generators`.
            params: its variables, `{"params": ...}`.
            key: the PRNG key of the draw.
            members: `(batch,)`, the member of each image; 0 for G itself.
        """

    def decode(
        self, generator: Generator, params: dict, inputs: tuple[Latents, Any]
    ) -> Float[Array, "batch height width channels"]:
        """Returns the images for the inputs that `sample` has drawn.

        Args:
            generator: any with the interface of `rtil_jax.generators`.
            params: its variables, `{"params": ...}`.
            inputs: from `sample`.
        """


@dataclasses.dataclass(frozen=True)
class AdditiveFamily:
    """The family of RTIL for ILO (Section 3.1): member G^k perturbs k blocks.

    z_0 ~ p(z_0), and z_j ~ N(0, (sigma s_j)^2 I) is added to the features after block
    j. In the paper s_j is 1, so a generator can weaken the noise by enlarging its
    features. `sigma_units="features"` prevents that: s_j is then the root mean square
    of G's features after block j, over all images of the batch, and is a constant for
    the gradient.

    Attributes:
        blocks: the perturbed blocks, in increasing order; () is vanilla training.
        sigma: standard deviation of the perturbations, at least 0; 1 in the paper.
        weights: weight of each member G^0, ..., G^K in the loss; they sum to 1.
        sigma_units: units of sigma: `absolute` (the paper), or `features`.
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
        """Draws the member of each group, because all members cost the same.

        Args:
            key: the PRNG key of the draw.
            batch: number of images, a multiple of `group_size`.
            group_size: number of consecutive images of one member.
        """
        return draw_members(key, self.weights, batch, group_size)

    def sample(
        self,
        generator: Generator,
        params: dict,
        key: jax.Array,
        members: Int[Array | np.ndarray, " batch"],
    ) -> tuple[Latents, Intermediates]:
        """Draws the inputs (z_0, {j: z_j}) of one image per entry of `members`.

        Args:
            generator: any with the interface of `rtil_jax.generators`.
            params: its variables, `{"params": ...}`.
            key: the PRNG key of the draw.
            members: `(batch,)`, the member of each image; 0 for G itself.
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
            # Each device measures its images, although the mean is over all.
            of = jax.lax.stop_gradient((params, constrain_batch(latents)))
            scales = feature_rms(generator, *of, self.blocks)
            intermediates = {k: scales[k] * z for k, z in intermediates.items()}
        return latents, intermediates

    def decode(
        self, generator: Generator, params: dict, inputs: tuple[Latents, Intermediates]
    ) -> Float[Array, "batch height width channels"]:
        """Returns the images for the inputs that `sample` has drawn.

        Args:
            generator: any with the interface of `rtil_jax.generators`.
            params: its variables, `{"params": ...}`.
            inputs: from `sample`.
        """
        return generator.apply(params, *inputs)


@dataclasses.dataclass(frozen=True)
class MultiCodeFamily:
    """The family of RTIL for mGANprior (Section 3.2): member k mixes `codes[k]` codes.

        g_1(sum_n alpha_n g_0(z^n)),  z^n ~ p(z_0),  alpha ~ Dirichlet(1)

    alpha_n is the same for all channels and pixels. The member with one code is G
    itself. Blocks after `block` read the latents of the first code, if they read any.

    Attributes:
        codes: number of codes of each member, the first one 1; (1,) is vanilla
            training.
        block: the block after which codes are mixed, counted from 1.
        weights: weight of each member in the loss; they sum to 1.
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
        """Shares the batch among the members, always in the same way.

        Args:
            key: not used.
            batch: number of images, a multiple of `group_size`.
            group_size: number of consecutive images of one member.
        """
        return share_members(self.weights, batch, group_size)

    def sample(
        self,
        generator: Generator,
        params: dict,
        key: jax.Array,
        members: Int[np.ndarray, " batch"],
    ) -> tuple[Latents, tuple[Float[Array, "_ _ 1"], ...]]:
        """Draws the codes of all images, and their alpha.

        Args:
            generator: any with the interface of `rtil_jax.generators`.
            params: its variables, `{"params": ...}`.
            key: the PRNG key of the draw.
            members: `(batch,)`, the member of each image, in increasing order. It must
                not be traced, because the number of codes depends on it: all codes run
                as *one* batch without padding.

        Returns:
            Latents with a leading axis of codes, in which the codes of an image are
            neighbours, and alpha for the images of each member.
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
        """Returns the images for the inputs that `sample` has drawn.

        Args:
            generator: any with the interface of `rtil_jax.generators`.
            params: its variables, `{"params": ...}`.
            inputs: from `sample`.
        """
        latents, weights = inputs
        features = generator.apply(params, latents, self.block, method="head")
        mixed, firsts, start = [], [], 0
        for alpha in weights:  # one for each member
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
    """Draws an image of each given member of a family.

    With the same key, all members of an additive family have the same z_0.

    Args:
        family: the family.
        generator: any with the interface of `rtil_jax.generators`.
        variables: its variables, `{"params": ...}`.
        key: the PRNG key of the inputs.
        members: `(batch,)`, the member of each image; 0 for G itself.
    """
    inputs = family.sample(generator, variables, key, members)
    return family.decode(generator, variables, inputs)


def flat_dirichlet(
    key: jax.Array, shape: tuple[int, ...]
) -> Float[Array, "*images codes"]:
    """Draws from Dirichlet(1), which is uniform over weights that sum to 1."""
    # An exponential draw can be 0, which would make the weight of a single code 0 / 0.
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
        family: the family.
        key: as for `Family.choose`.
        batch: number of images in a minibatch.
        group_size: number of images in a group of one member, which D may compare.
        enumerated: give every member a minibatch, instead of choosing one member for
            each group of a single minibatch.
    """
    members, weights = (
        enumerate_members(family.weights, batch)
        if enumerated
        else family.choose(key, batch, group_size)
    )
    return members, weights.reshape(-1, batch)
