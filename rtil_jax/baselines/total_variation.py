"""Total variation (Rudin, Osher and Fatemi 1992): the flattest image with that y."""

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
    """The image of the least total variation among those that explain y.

    It is isotropic, channel by channel. How near to y the image is to be follows from
    the noise (see `sparse`): no weight is chosen.

    Attributes:
        iterations: of the primal-dual algorithm.

    Raises:
        UserError: at once, for an argument of a wrong type or range.
    """

    packages = PACKAGES
    iterations: Any = argument(300, WHOLE)

    def __post_init__(self) -> None:
        clean_arguments(self)

    def __call__(self, measured: Measured, key: jax.Array) -> Any:
        """The image; `key` is unused."""
        who = type(self).__name__
        pylops, pyproximal = (package(who, name) for name in PACKAGES)
        differences = [
            pylops.FirstDerivative(
                measured.image_shape, axis=axis, kind="forward", dtype=np.float32
            )
            for axis in (0, 1)
        ]
        # The norm of the two together is at most sqrt(8).
        gradient = pylops.VStack(differences, dtype=np.float32) * (1 / np.sqrt(8))
        norm = pyproximal.L21(ndim=len(differences))
        return sparsest(who, measured, gradient, norm, self.iterations)
