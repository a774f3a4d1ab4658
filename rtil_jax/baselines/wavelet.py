"""Wavelet l1: the image of the sparsest wavelet coefficients that explains y."""

import dataclasses
import math
from typing import Any

import jax
import numpy as np

from rtil_jax.arguments import WHOLE, argument, clean_arguments
from rtil_jax.baselines.interface import Measured
from rtil_jax.baselines.packages import package
from rtil_jax.baselines.sparse import PACKAGES, sparsest

# Pixels of the coarsest level at least.
COARSEST = 4
NAME = "sym4"


@dataclasses.dataclass(frozen=True)
class Wavelet:
    """The image whose wavelet coefficients (Symlets) have the least l1 norm.

    The coarsest level, which is not sparse, does not count. How near to y the image is
    to be follows from the noise (see `sparse`): no weight is chosen.

    Attributes:
        iterations: of the primal-dual algorithm.

    Raises:
        UserError: at once, for an argument of a wrong type or range.
    """

    packages = (*PACKAGES, "pywt")
    iterations: Any = argument(300, WHOLE)

    def __post_init__(self) -> None:
        clean_arguments(self)

    def __call__(self, measured: Measured, key: jax.Array) -> Any:
        """The image; `key` is unused."""
        who = type(self).__name__
        pylops, pyproximal, _ = (package(who, name) for name in self.packages)
        height, width, _ = measured.image_shape
        level = max(0, int(math.log2(min(height, width) / COARSEST)))
        transform = pylops.signalprocessing.DWT2D(
            measured.image_shape, (0, 1), NAME, level, dtype=np.float32
        )
        rows, columns, channels = transform.dimsd
        weights = np.ones((rows, columns, channels), np.float32)
        weights[: rows >> level, : columns >> level] = 0
        norm = pyproximal.L1(sigma=weights.ravel())
        return sparsest(who, measured, transform, norm, self.iterations)
