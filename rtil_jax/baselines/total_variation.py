"""Total variation (Rudin et al. 1992): finds the flattest image that explains y."""

import dataclasses
from typing import Any

import jax
import numpy as np

from rtil_jax.arguments import WHOLE, argument, clean_arguments
from rtil_jax.baselines.interface import Measured
from rtil_jax.baselines.packages import package
from rtil_jax.baselines.sparse import PACKAGES, sparsest


@dataclasses.dataclass(frozen=True)
class TotalVariation:
    """Finds the image with the least total variation among those that explain y.

    Total variation is isotropic and computed per channel. The noise decides how closely
    the image explains y (see `sparse`), so there is no weight to choose.

    Attributes:
        iterations: number of iterations of the primal-dual algorithm.

    Raises:
        UserError: on construction, if an argument has a wrong type or range.
    """

    packages = PACKAGES
    iterations: Any = argument(300, WHOLE)

    def __post_init__(self) -> None:
        clean_arguments(self)

    def __call__(self, measured: Measured, key: jax.Array) -> Any:
        """Returns the image; `key` is not used."""
        who = type(self).__name__
        pylops, pyproximal = (package(who, name) for name in PACKAGES)
        differences = [
            pylops.FirstDerivative(
                measured.image_shape, axis=axis, kind="forward", dtype=np.float32
            )
            for axis in (0, 1)
        ]
        # The two together have a norm of at most sqrt(8).
        gradient = pylops.VStack(differences, dtype=np.float32) * (1 / np.sqrt(8))
        norm = pyproximal.L21(ndim=len(differences))
        return sparsest(who, measured, gradient, norm, self.iterations)
