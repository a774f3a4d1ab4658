"""Plug-and-play (Venkatakrishnan et al. 2013): uses a denoiser in place of a prior.

It is half-quadratic splitting, as in DPIR (Zhang et al. 2021): steps towards the
measurements (`data_step`) alternate with denoising. The noise level sigma that the
denoiser assumes falls from `first_sigma` to `last_sigma` in equal ratios.
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
    """Alternates denoising with steps towards the measurements, starting from TV.

    Attributes:
        denoiser: `non_local_means` of scikit-image, or `bm3d`, which is better and
            slower and needs the package of that name.
        iterations: number of iterations.
        first_sigma: noise level that the denoiser assumes in the first iteration, for
            pixels in [-1, 1]. The default is small, because TV is a good start and
            non-local means blurs. For BM3D, 0.1 works well.
        last_sigma: noise level in the last iteration; for BM3D, 0.01 works well.

    Raises:
        UserError: on construction, if an argument has a wrong type or range.
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
        """The modules that the denoiser needs."""
        return (*self.start.packages, DENOISERS[self.denoiser].module)

    def __call__(self, measured: Measured, key: jax.Array) -> Any:
        """Returns the image; `key` is not used."""
        return self.refine(measured, self.start(measured, key))

    def refine(self, measured: Measured, image: Any) -> Any:
        """Runs the iterations from an image `(height, width, channels)`."""
        denoise = DENOISERS[self.denoiser].run
        for sigma in self.sigmas():
            denoised = denoise(np.asarray(image, np.float32), float(sigma))
            damping = (measured.noise_std / sigma) ** 2
            image = data_step(measured, jnp.asarray(denoised, jnp.float32), damping)
        return image

    def sigmas(self) -> Float[np.ndarray | Array, " iterations"]:
        """Returns the noise level that the denoiser assumes in each iteration."""
        return np.geomspace(self.first_sigma, self.last_sigma, self.iterations)
