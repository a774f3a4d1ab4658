"""Generator Surgery (Smedemark-Margulies et al. 2021): cuts off the first blocks.

It optimises the features h at the cut, and the latents that later blocks read (styles
and noise maps of StyleGAN2):

    min over h, z_0 of ||A(g_1(h, z_0)) - y||^2.

Without g_0, nothing ties h to the features of the generator's samples, and StyleGAN2's
RGB skip starts at zero. As in the authors' code, h starts from N(0, I) clipped to
[-1, 1], which needs no statistics of the generator, and nothing is constrained. The
authors run 25 steps of L-BFGS and find Adam slightly worse; this module uses Adam, as
every method here does.
"""

import dataclasses
from typing import Any, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rtil_jax.arguments import NUMBER, WHOLE, argument, clean_arguments
from rtil_jax.errors import UserError
from rtil_jax.fields import named
from rtil_jax.generators import Generator
from rtil_jax.inversion.constraints import relative_pull
from rtil_jax.inversion.latents import style_space
from rtil_jax.inversion.problems import Problem
from rtil_jax.inversion.solutions import Solution
from rtil_jax.inversion.stages import Mask, Stage, number
from rtil_jax.inversion.units import Units, to_absolute
from rtil_jax.priors.prior import Prior

PUBLISHED_BLOCK = 2


@dataclasses.dataclass(frozen=True)
class Surgery:
    """Generator Surgery: drops the first blocks and searches over the features there.

    Attributes:
        block: the blocks up to this one are dropped. The default is block 2 (8
            pixels), or block 1 of a generator with two blocks.
        steps: number of Adam steps.
        learning_rate: the highest rate of the schedule.
        units: the units of the features: `absolute`, as the authors have it, or
            `features`, their standard deviation over images of the prior.
        prior_weight: weight of mean(h^2) in the loss, at least 0, with h in `units`. It
            is multiplied by `constraints.relative_scale`.

    Raises:
        UserError: on construction, if an argument has a wrong type or range.
    """

    block: Any = argument(None, WHOLE, published=PUBLISHED_BLOCK)
    steps: Any = argument(2_000, WHOLE)
    learning_rate: Any = argument(0.1, NUMBER)
    units: Any = argument("absolute", named(*get_args(Units)))
    prior_weight: Any = argument(0.0, NUMBER)

    def __post_init__(self) -> None:
        clean_arguments(self)

    def block_of(self, generator: Generator) -> int:
        """Returns the last block that is dropped from this generator."""
        if self.block is None:
            return max(1, min(PUBLISHED_BLOCK, generator.num_blocks - 1))
        return self.block

    def stages(self, generator: Generator) -> tuple[Stage, ...]:
        """Returns the only stage.

        Raises:
            UserError: if no block is left, or the generator has no such block.
        """
        block, last = self.block_of(generator), generator.num_blocks
        if not 1 <= block < last:
            raise UserError(
                f"method.block: found {block}, expected 1 to {last - 1}: the generator "
                f"has {last} blocks, and the last one cannot be dropped"
            )
        return (
            SurgeryStage(
                self.steps,
                self.learning_rate,
                block=block,
                units=self.units,
                prior_weight=self.prior_weight or None,
            ),
        )

    def start(self, prior: Prior, key: jax.Array) -> dict:
        """Draws the latents and features of one image."""
        latent_key, feature_key = jax.random.split(key)
        latents = style_space(prior.generator).sample(prior, latent_key)
        block = self.block_of(prior.generator)
        shape = prior.generator.intermediate_shape(block)
        features = jnp.clip(jax.random.normal(feature_key, shape, jnp.float32), -1, 1)
        return {"latents": latents, "features": features}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SurgeryStage(Stage):
    """The only stage of `Surgery`."""

    block: int
    units: Units
    prior_weight: float | None = number()

    def free(self, prior: Prior, variables: dict) -> dict[str, Mask]:
        space = style_space(prior.generator)
        return {
            "latents": space.free(variables["latents"], self.block),
            "features": True,
        }

    def decode(self, prior: Prior, variables: dict) -> Solution:
        latents = style_space(prior.generator).decode(prior, variables["latents"])
        # Shows which kind of features `tail` takes; the head itself is not computed.
        kind = jax.eval_shape(
            lambda: prior.generator.apply(
                prior.variables, latents, self.block, method="head"
            )
        )
        if hasattr(kind, "drop_skip"):
            kind = kind.drop_skip()
        h = to_absolute(prior, self.units, self.block, variables["features"])
        features = jax.tree.unflatten(jax.tree.structure(kind), [h])
        return Solution(latents, features, self.block)

    def penalty(
        self, variables: dict, images: Array, problem: Problem
    ) -> Float[Array, "*batch"]:
        return relative_pull(self.prior_weight, variables["features"], problem, images)
