"""Multi-code GAN prior (Gu et al. 2020), Algorithm 2 of the paper.

It optimises N codes z^n and a weight for each channel of their features:

    min over {z^n}, {alpha^n} of ||A(g_1(sum_n g_0(z^n) * alpha^n)) - y||^2,

where * weighs channels and G = g_1 o g_0 is cut after one block. The codes of all
images run as one batch. With StyleGAN2, z^n goes through the mapping network, noise
maps stay as drawn, and g_1 reads the styles and noise maps of the first code.
"""

import dataclasses
from typing import Any, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rtil_jax.arguments import NUMBER, WHOLE, argument, clean_arguments
from rtil_jax.errors import UserError
from rtil_jax.families import flat_dirichlet
from rtil_jax.fields import named
from rtil_jax.generators import Generator, mix_codes
from rtil_jax.generators.interface import Features, Latents
from rtil_jax.inversion.constraints import relative_pull
from rtil_jax.inversion.latents import codes_of, mapping_space
from rtil_jax.inversion.problems import Problem
from rtil_jax.inversion.solutions import Solution
from rtil_jax.inversion.stages import Mask, OptimizerName, Stage, number
from rtil_jax.priors.prior import Prior

STARTS = ("dirichlet", "uniform", "channels")
PUBLISHED_BLOCK = 4


@dataclasses.dataclass(frozen=True)
class MGANPrior:
    """Multi-code GAN prior: searches several codes and mixes their features.

    The defaults are those of the public RTIL demo for RTIL priors.

    Attributes:
        codes: N, the number of codes, at least 1.
        block: the features of the codes are mixed after this block. The default is
            block 4 (32 pixels), as published, or the last block of a smaller
            generator. The block after which training mixed them works best.
        steps: number of updates.
        learning_rate: the highest rate of the schedule, for codes in units of
            z ~ N(0, I) and for alpha.
        optimizer: `adam`, `sgd`, or `ngd` (steps of fixed length).
        start_weights: alpha at the start. `dirichlet`: one draw per image from the
            distribution of RTIL training, the same for all channels. `uniform`: 1 / N.
            `channels`: one over the number of channels, as the public code does for
            vanilla priors.
        codes_at_once: how many codes go through g_0 together, a divisor of `codes`.
            The rest are computed in turn, and once more for the gradient. 0 takes all
            codes together, which is fastest and needs most memory.
        prior_weight: weight of mean(z^2) of all codes in the loss, at least 0. It is
            multiplied by `constraints.relative_scale`. The published value is 0.

    Raises:
        UserError: on construction, if an argument has a wrong type or range.
    """

    codes: Any = argument(20, WHOLE)
    block: Any = argument(None, WHOLE, published=PUBLISHED_BLOCK)
    steps: Any = argument(2_500, WHOLE)
    learning_rate: Any = argument(0.05, NUMBER)
    optimizer: Any = argument("adam", named(*get_args(OptimizerName)))
    start_weights: Any = argument("dirichlet", named(*STARTS))
    codes_at_once: Any = argument(0, WHOLE)
    prior_weight: Any = argument(0.0, NUMBER)

    def __post_init__(self) -> None:
        clean_arguments(self)

    def block_of(self, generator: Generator) -> int:
        """Returns the block after which this generator's codes are mixed."""
        if self.block is None:
            return min(PUBLISHED_BLOCK, generator.num_blocks)
        return self.block

    def stages(self, generator: Generator) -> tuple[Stage, ...]:
        """Returns the only stage.

        Raises:
            UserError: if the generator has no such block, or `codes` is below 1, or
                `codes_at_once` does not divide it.
        """
        block = self.block_of(generator)
        if not 1 <= block <= generator.num_blocks:
            raise UserError(
                f"method.block: found {block}, expected 1 to "
                f"{generator.num_blocks}, the last block of {generator.resolution} "
                "pixels"
            )
        if self.codes < 1:
            raise UserError(f"method.codes: found {self.codes}, expected at least 1")
        at_once = self.codes_at_once or self.codes
        if self.codes % at_once:
            raise UserError(
                f"method.codes_at_once: found {self.codes_at_once}, expected 0 or a "
                f"divisor of method.codes = {self.codes}"
            )
        optimisation = self.steps, self.learning_rate, self.optimizer
        return (
            MGANPriorStage(
                *optimisation,
                block=block,
                codes_at_once=at_once,
                prior_weight=self.prior_weight or None,
            ),
        )

    def start(self, prior: Prior, key: jax.Array) -> dict:
        """Draws the codes and weights alpha `(codes, channels)` of one image."""
        latent_key, weight_key = jax.random.split(key)
        sample = jax.vmap(mapping_space(prior.generator).sample, (None, 0))
        block = self.block_of(prior.generator)
        channels = prior.generator.intermediate_shape(block)[-1]
        if self.start_weights == "dirichlet":
            weights = flat_dirichlet(weight_key, (self.codes,))[:, None]
        elif self.start_weights == "uniform":
            weights = jnp.full((self.codes, 1), 1 / self.codes, jnp.float32)
        else:
            weights = jnp.full((self.codes, 1), 1 / channels, jnp.float32)
        return {
            "latents": sample(prior, jax.random.split(latent_key, self.codes)),
            "weights": jnp.repeat(weights, channels, axis=1),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class MGANPriorStage(Stage):
    """The only stage of mGANprior: it moves codes and weights without constraints."""

    block: int
    codes_at_once: int
    prior_weight: float | None = number()

    def free(self, prior: Prior, variables: dict) -> dict[str, Mask]:
        space = mapping_space(prior.generator)
        return {"latents": space.free(variables["latents"], stage=0), "weights": True}

    def decode(self, prior: Prior, variables: dict) -> Solution:
        codes, weights = variables["latents"], variables["weights"]
        first = jax.tree.map(lambda x: x[:, 0], codes)
        latents = mapping_space(prior.generator).decode(prior, first)
        if self.codes_at_once == weights.shape[1]:
            features = self._mix(prior, codes, weights)
        else:
            features = self._mix_in_turns(prior, codes, weights)
        return Solution(latents, features, self.block)

    def penalty(
        self, variables: dict, images: Array, problem: Problem
    ) -> Float[Array, "*batch"]:
        codes = codes_of(variables["latents"])
        return relative_pull(self.prior_weight, codes, problem, images)

    def _mix(
        self,
        prior: Prior,
        codes: Latents,
        weights: Float[Array, "batch codes channels"],
    ) -> Features:
        """Returns sum_n g_0(z^n) * alpha^n, all codes of all images in one batch."""
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), codes)
        latents = mapping_space(prior.generator).decode(prior, flat)
        features = prior.generator.apply(
            prior.variables, latents, self.block, method="head"
        )
        return mix_codes(features, weights)

    def _mix_in_turns(self, prior: Prior, codes: Latents, weights: Array) -> Features:
        """Returns the same sum, `codes_at_once` at a time; activations are not kept."""

        def turns(x: Array) -> Array:
            x = x.reshape(x.shape[0], -1, self.codes_at_once, *x.shape[2:])
            return x.swapaxes(0, 1)

        parts = jax.lax.map(
            jax.checkpoint(lambda turn: self._mix(prior, *turn)),
            jax.tree.map(turns, (codes, weights)),
        )
        return jax.tree.map(lambda x: jnp.sum(x, axis=0), parts)
