"""Deep Decoder (Heckel and Hand 2019): fits the weights of an untrained network.

It minimises ||A(DD(theta)) - y||^2 over theta, the weights of
`generators.deep_decoder`, which has fewer weights than the image has pixels. It needs
no trained prior: the method brings its own generator, whose latents are the weights.
"""

import dataclasses
import math
from typing import Any

import jax

from rtil_jax.arguments import NUMBER, WHOLE, argument, clean_arguments
from rtil_jax.generators import Generator
from rtil_jax.generators.deep_decoder import DeepDecoderGenerator
from rtil_jax.inversion.csgm import CSGMStage
from rtil_jax.inversion.latents import mapping_space
from rtil_jax.inversion.stages import Stage, Variables
from rtil_jax.operators.interface import ImageShape
from rtil_jax.priors.prior import Prior

# Pixels of the random maps at the start, at least.
COARSEST = 4


@dataclasses.dataclass(frozen=True)
class DeepDecoder:
    """Fits a small untrained network to y, as in `invert(DeepDecoder(), None, ...)`.

    Attributes:
        width: channels of the network's layers.
        depth: how often the network doubles its maps; small images allow fewer times.
        steps: number of Adam steps.
        learning_rate: the highest rate of the schedule.

    Raises:
        UserError: on construction, if an argument has a wrong type or range.
    """

    width: Any = argument(32, WHOLE)
    depth: Any = argument(4, WHOLE)
    steps: Any = argument(1_000, WHOLE)
    learning_rate: Any = argument(0.01, NUMBER)

    def __post_init__(self) -> None:
        clean_arguments(self)

    def own_prior(self, image_shape: ImageShape) -> Prior:
        """Returns the untrained network in the form of a prior, for `invert`."""
        possible = max(0, int(math.log2(min(image_shape[:2]) / COARSEST)))
        depth = min(self.depth, possible)
        return Prior(DeepDecoderGenerator(image_shape, self.width, depth), {})

    def stages(self, generator: Generator) -> tuple[Stage, ...]:
        return (CSGMStage(self.steps, self.learning_rate),)

    def start(self, prior: Prior, key: jax.Array) -> Variables:
        """Draws the random weights of one image."""
        return mapping_space(prior.generator).sample(prior, key)
