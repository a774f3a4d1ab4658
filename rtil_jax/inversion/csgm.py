"""CSGM (Bora et al. 2017): optimises z_0 alone, in one stage.

It minimises ||A(G(z_0)) - y||^2 over z_0, so the reconstruction is an image that the
generator can make. For StyleGAN2, z_0 is the input of the mapping network, and the
noise maps stay as drawn.
"""

import dataclasses
from typing import Any

import jax
from jaxtyping import Array, Float

from rtil_jax.arguments import NUMBER, WHOLE, argument, clean_arguments
from rtil_jax.generators import Generator
from rtil_jax.inversion.constraints import relative_pull
from rtil_jax.inversion.latents import codes_of, mapping_space
from rtil_jax.inversion.problems import Problem
from rtil_jax.inversion.solutions import Solution
from rtil_jax.inversion.stages import Mask, Stage, Variables, number
from rtil_jax.priors.prior import Prior


@dataclasses.dataclass(frozen=True)
class CSGM:
    """Compressed Sensing with Generative Models: searches over z_0 alone.

    Attributes:
        steps: number of Adam steps.
        learning_rate: the highest rate of the schedule, in units of z_0 ~ N(0, I).
        prior_weight: weight of mean(z_0^2) in the loss, at least 0. It is multiplied by
            `constraints.relative_scale`, so that one weight serves every operator. The
            paper has no such term; 0 removes it.

    Raises:
        UserError: on construction, if an argument has a wrong type or range.
    """

    steps: Any = argument(2_000, WHOLE)
    learning_rate: Any = argument(0.1, NUMBER)
    prior_weight: Any = argument(0.0, NUMBER)

    def __post_init__(self) -> None:
        clean_arguments(self)

    def stages(self, generator: Generator) -> tuple[Stage, ...]:
        optimisation = self.steps, self.learning_rate
        return (CSGMStage(*optimisation, prior_weight=self.prior_weight or None),)

    def start(self, prior: Prior, key: jax.Array) -> Variables:
        """Draws z_0 ~ p(z_0) of one image."""
        return mapping_space(prior.generator).sample(prior, key)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CSGMStage(Stage):
    """The only stage of CSGM: it moves z_0 and runs the whole generator."""

    prior_weight: float | None = number(None)

    def free(self, prior: Prior, variables: Variables) -> Mask:
        return mapping_space(prior.generator).free(variables, stage=0)

    def decode(self, prior: Prior, variables: Variables) -> Solution:
        return Solution(mapping_space(prior.generator).decode(prior, variables))

    def penalty(
        self, variables: Variables, images: Array, problem: Problem
    ) -> Float[Array, "*batch"]:
        return relative_pull(self.prior_weight, codes_of(variables), problem, images)
