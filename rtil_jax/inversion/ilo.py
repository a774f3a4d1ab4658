"""Intermediate Layer Optimization (Daras et al. 2021), Algorithm 1 of the paper.

Stage 0 optimises z_0. Stage k starts where stage k - 1 ended, and optimises the
perturbation z_k of the features after block k together with the latents that later
blocks read:

    min over z_k, z_0 of ||A(g_1(z_k + g_0, z_0)) - y||^2.

RTIL draws z_k ~ N(0, sigma^2 I) in training, so a Gaussian prior on z_k also suits the
inversion. It is an option here; neither the paper nor its code has it.

The paper's Algorithm 1 starts from z_k ~ N(0, I). The public code and this module start
from z_k = 0, which is the solution of the stage before.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, get_args

import jax
from jaxtyping import Array, Float

from rtil_jax.arguments import (
    ABOVE_0,
    FLAG,
    NUMBER,
    NUMBER_OR_NUMBERS,
    NUMBERS,
    WHOLE_OR_WHOLES,
    argument,
    clean_arguments,
)
from rtil_jax.errors import UserError
from rtil_jax.fields import named
from rtil_jax.generators import (
    Generator,
    init,
    sample_latents,
    zero_intermediates,
)
from rtil_jax.inversion.constraints import (
    PriorForm,
    geocross,
    prior_penalty,
    relative_scale,
    to_l1_ball,
)
from rtil_jax.inversion.latents import clip_latents, rescale_latents, style_space
from rtil_jax.inversion.problems import Problem
from rtil_jax.inversion.solutions import Solution
from rtil_jax.inversion.stages import Mask, OptimizerName, Stage, number
from rtil_jax.inversion.units import Units, all_to_absolute
from rtil_jax.priors.prior import Prior, has_styles

RADII = ("noise_radii", "style_radii", "feature_radii")
PUBLISHED_STEPS = (2_000, 1_000, 1_000, 1_000, 2_000)


@dataclasses.dataclass(frozen=True)
class ILO:
    """Intermediate Layer Optimization: searches z_0, then the features block by block.

    `ILO()`, `ILO(steps=100)` and `ILO(steps=(40, 20, 20))` are all valid. NumPy numbers
    and lists are accepted too.

    >>> ILO(steps=(40, 20, 20), learning_rate=0.1).steps
    (40, 20, 20)

    The defaults are those of the public RTIL demo, except `keep_skip`, which is False
    there.

    Attributes:
        steps: number of steps of each stage; stage k frees the features after block k.
            One number is used for every stage. The default is 2,000, 1,000, 1,000,
            1,000 and 2,000, as published. A generator with fewer than five blocks has
            one stage per block, and the last stage has the 2,000 (or the one number).
        learning_rate: the highest rate of each stage's schedule.
        geocross: weight of `constraints.geocross` in stage 0, at least 0.
        sphere: keep the norm of each style vector and noise map.
        keep_skip: keep the RGB skip of earlier blocks, as in training. False drops it
            from stage 1 on, as the public code does.
        noise_radii, style_radii, feature_radii: for each stage, the radius of an l1
            ball around each noise map, the styles and the features at the start of the
            stage. () sets no ball, as in the published results.
        prior_weight: weight of `constraints.prior_penalty` of z_k in the loss, for each
            stage. One number is used for all stages; () for no penalty. Stage 0 has no
            z_k. With noise of standard deviation s on m measurements and n entries of
            z_k, a weight of n s^2 / m makes the minimum the maximum a posteriori
            estimate of z_k.
        prior_form: `gaussian`, `shell` or `relative`. `relative` is `gaussian` times
            `constraints.relative_scale`, so that one weight serves every operator.
        prior_sigma: the sigma of the training, in `units`.
        units: the units of z_k, its learning rate, radii and penalty. `absolute`, as in
            the paper, or `features`: the standard deviation of the prior's features
            after block k. Styles and noise maps are N(0, 1) in both cases.
        unit: z_k is searched in multiples of `unit` units. So Adam moves z_k by `unit`
            times the learning rate, and styles and noise maps by the rate itself.
        optimizer: `adam` (as in the paper), `ngd` (steps of fixed length) or `sgd`.

    Raises:
        UserError: on construction, if an argument has a wrong type or range.
    """

    steps: Any = argument(None, WHOLE_OR_WHOLES, published=PUBLISHED_STEPS)
    learning_rate: Any = argument(0.2, NUMBER)
    geocross: Any = argument(0.01, NUMBER)
    sphere: Any = argument(True, FLAG)
    keep_skip: Any = argument(True, FLAG)
    noise_radii: Any = argument((), NUMBERS)
    style_radii: Any = argument((), NUMBERS)
    feature_radii: Any = argument((), NUMBERS)
    prior_weight: Any = argument((), NUMBER_OR_NUMBERS)
    prior_form: Any = argument("gaussian", named(*get_args(PriorForm)))
    prior_sigma: Any = argument(1.0, NUMBER, ABOVE_0)
    units: Any = argument("absolute", named(*get_args(Units)))
    optimizer: Any = argument("adam", named(*get_args(OptimizerName)))
    unit: Any = argument(1.0, NUMBER, ABOVE_0)

    def __post_init__(self) -> None:
        clean_arguments(self)

    def steps_for(self, generator: Generator) -> tuple[int, ...]:
        """Returns the number of steps of each stage for this generator."""
        if isinstance(self.steps, Sequence):
            return tuple(self.steps)
        count = min(len(PUBLISHED_STEPS), generator.num_blocks)
        if self.steps is not None:
            return (self.steps,) * count
        return (*PUBLISHED_STEPS[: count - 1], PUBLISHED_STEPS[-1])

    def stages(self, generator: Generator) -> tuple["ILOStage", ...]:
        """Returns one stage for each entry of `steps_for(generator)`.

        Raises:
            UserError: if the generator has too few blocks, or radii or weights are
                missing.
        """
        steps = self.steps_for(generator)
        count, last = len(steps), generator.num_blocks
        if not 1 <= count <= last:
            raise UserError(
                f"method.steps: found {count} stages, expected 1 to "
                f"{generator.num_blocks}: stage k frees the features after block k < "
                f"{generator.num_blocks}, the last block of {generator.resolution} "
                "pixels" + (f"; try {(*steps[: last - 1], steps[-1])}" if steps else "")
            )
        for name in RADII:
            if len(getattr(self, name)) not in (0, count):
                raise UserError(
                    f"method.{name}: found {len(getattr(self, name))} radii, expected "
                    f"no radius, or one per stage ({count})"
                )
        if not self.keep_skip and not has_skip(generator):
            raise UserError(
                "method.keep_skip: found False, expected True for a generator whose "
                "features have no RGB skip"
            )
        weights = self.prior_weight
        weights = tuple(weights) if isinstance(weights, Sequence) else (weights,)
        if len(weights) not in (0, 1, count):
            raise UserError(
                f"method.prior_weight: found {len(weights)} numbers, expected no "
                f"number, one for all stages, or one per stage ({count})"
            )
        if len(weights) == 1:
            weights *= count
        styled = has_styles(generator)
        return tuple(
            self._stage(block, number, weights, styled)
            for block, number in enumerate(steps)
        )

    def _stage(
        self, block: int, steps: int, weights: tuple[float, ...], styled: bool
    ) -> "ILOStage":
        def radius(radii: tuple[float, ...]) -> float | None:
            return radii[block] if radii else None

        return ILOStage(
            block=block,
            steps=steps,
            learning_rate=self.learning_rate,
            geocross=(self.geocross or None) if block == 0 and styled else None,
            sphere=self.sphere,
            keep_skip=self.keep_skip,
            noise_radius=radius(self.noise_radii),
            style_radius=radius(self.style_radii),
            feature_radius=radius(self.feature_radii),
            prior_weight=(weights[block] or None) if weights and block else None,
            prior_form=self.prior_form,
            prior_sigma=self.prior_sigma,
            units=self.units,
            unit=self.unit,
            optimizer=self.optimizer,
        )

    def start(self, prior: Prior, key: jax.Array) -> dict:
        """Draws z_0 of one image; z_k is added when stage k begins."""
        latents = style_space(prior.generator).sample(prior, key)
        return {"latents": latents, "intermediates": {}}


def has_skip(generator: Generator) -> bool:
    """Tells whether the features carry an RGB skip that can be dropped."""

    def features(key: jax.Array) -> Any:
        variables = init(generator, key)
        latents = sample_latents(generator, variables, key, 1)
        return generator.apply(variables, latents, 1, method="head")

    return hasattr(jax.eval_shape(features, jax.random.key(0)), "drop_skip")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ILOStage(Stage):
    """Stage number `block` of `ILO`.

    Its variables are `latents` and `intermediates`, {j: z_j} of the blocks up to its
    own in the method's units. From stage 1 on they also hold `features`, those after
    its block before z_k is added.
    """

    block: int
    geocross: float | None = number()
    sphere: bool
    keep_skip: bool
    noise_radius: float | None = number()
    style_radius: float | None = number()
    feature_radius: float | None = number()
    prior_weight: float | None = number()
    prior_form: PriorForm
    prior_sigma: float = number()
    units: Units
    unit: float = number()

    def begin(self, prior: Prior, variables: dict) -> dict:
        if self.block == 0:
            return variables
        generator, intermediates = prior.generator, variables["intermediates"]
        latents = style_space(generator).decode(prior, variables["latents"])
        absolute = all_to_absolute(prior, self.units, self.unit, intermediates)
        inputs = latents, self.block, absolute
        features = generator.apply(prior.variables, *inputs, method="head")
        if not self.keep_skip:
            features = features.drop_skip()
        if self.block not in intermediates:  # else this stage continues another one
            batch = jax.tree.leaves(latents)[0].shape[0]
            intermediates = intermediates | zero_intermediates(
                generator, (self.block,), batch
            )
        return variables | {"intermediates": intermediates, "features": features}

    def free(self, prior: Prior, variables: dict) -> dict[str, Mask]:
        space = style_space(prior.generator)
        return dict.fromkeys(variables, False) | {
            "latents": space.free(variables["latents"], self.block),
            "intermediates": {k: k == self.block for k in variables["intermediates"]},
        }

    def decode(self, prior: Prior, variables: dict) -> Solution:
        latents = style_space(prior.generator).decode(prior, variables["latents"])
        if self.block == 0:
            return Solution(latents)
        intermediates = variables["intermediates"]
        intermediates = all_to_absolute(prior, self.units, self.unit, intermediates)
        features = variables["features"] + intermediates[self.block]
        return Solution(latents, features, self.block, intermediates)

    def penalty(
        self, variables: dict, images: Array, problem: Problem
    ) -> Float[Array, "*batch"]:
        if self.geocross is not None:  # in stage 0 only, which has no z_k
            return self.geocross * geocross(variables["latents"]["styles"])
        if self.prior_weight is not None:
            z_k = variables["intermediates"][self.block]
            penalty = prior_penalty(z_k, self.prior_sigma, self.prior_form)
            if self.prior_form == "relative":
                penalty = penalty * relative_scale(problem, images)
            return self.prior_weight * penalty
        return super().penalty(variables, images, problem)

    def constrain(self, variables: dict, start: dict) -> dict:
        latents = variables["latents"]
        if self.sphere:
            latents = rescale_latents(latents, start["latents"])
        radii = self.style_radius, self.noise_radius
        latents = clip_latents(latents, start["latents"], *radii)
        intermediates = variables["intermediates"]
        if self.block and self.feature_radius is not None:
            centre = start["intermediates"][self.block]
            z_k = to_l1_ball(intermediates[self.block], centre, self.feature_radius)
            intermediates = intermediates | {self.block: z_k}
        return variables | {"latents": latents, "intermediates": intermediates}
