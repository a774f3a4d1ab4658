"""Plug-and-play (Venkatakrishnan et al. 2013): a denoiser in place of a prior.

Half-quadratic splitting, as in DPIR (Zhang et al. 2021): a step to the measurements
(`data_step`) and one of the denoiser take turns, while sigma, the noise that the
denoiser is told, falls from `first_sigma` to `last_sigma` in even ratios.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rtil_jax.arguments import ABOVE_0, NUMBER, WHOLE, argument, clean_arguments
from rtil_jax.baselines.data_step import data_step
from rtil_jax.baselines.denoisers import DENOISERS
from rtil_jax.baselines.interface import Measured
from rtil_jax.baselines.total_variation import TotalVariation
from rtil_jax.fields import named


@dataclasses.dataclass(frozen=True)
class PlugAndPlay:
    """Denoises and goes back to the measurements, in turns; starts from TV.

    Attributes:
        denoiser: `non_local_means` of scikit-image, or `bm3d`, better and slower, if
            you have installed the package of that name.
        iterations: how many turns.
        first_sigma: what the denoiser takes for the noise in the first turn, of pixels
            in [-1, 1]. Small, because TV is a good start and non-local means blurs;
            BM3D bears more, 0.1 to 0.01.
        last_sigma: likewise in the last turn.

    Raises:
        UserError: at once, for an argument of a wrong type or range.
    """

    start: ClassVar[TotalVariation] = TotalVariation()
    denoiser: Any = argument("non_local_means", named(*DENOISERS))
    iterations: Any = argument(20, WHOLE)
    first_sigma: Any = argument(0.03, NUMBER, ABOVE_0)
    last_sigma: Any = argument(0.005, NUMBER, ABOVE_0)

    def __post_init__(self) -> None:
        clean_arguments(self)

    @property
    def packages(self) -> tuple[str, ...]:
        """The modules that it imports."""
        return (*self.start.packages, DENOISERS[self.denoiser].module)

    def __call__(self, measured: Measured, key: jax.Array) -> Any:
        """The image; `key` is unused."""
        return self.refine(measured, self.start(measured, key))

    def refine(self, measured: Measured, image: Any) -> Any:
        """The turns, from an image `(height, width, channels)` on."""
        denoise = DENOISERS[self.denoiser].run
        for sigma in self.sigmas():
            denoised = denoise(np.asarray(image, np.float32), float(sigma))
            damping = (measured.noise_std / sigma) ** 2
            image = data_step(measured, jnp.asarray(denoised, jnp.float32), damping)
        return image

    def sigmas(self) -> Float[np.ndarray | Array, " iterations"]:
        """The noise that the denoiser is told in each turn."""
        return np.geomspace(self.first_sigma, self.last_sigma, self.iterations)
