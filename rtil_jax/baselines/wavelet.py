"""Wavelet l1: the image with the sparsest wavelet coefficients that explains y."""

import dataclasses
import itertools
import math
from typing import Any

import jax
import numpy as np

from rtil_jax.arguments import WHOLE, argument, clean_arguments
from rtil_jax.baselines.interface import Measured
from rtil_jax.baselines.packages import package
from rtil_jax.baselines.sparse import PACKAGES, sparsest

NAME, LEVELS = "haar", 2
# Shifts down and to the right, because Haar wavelets only see edges on even pixels.
SHIFTS = tuple(itertools.product((0, 1), (0, 1)))


@dataclasses.dataclass(frozen=True)
class Wavelet:
    """Finds the image whose Haar wavelet coefficients have the least l1 norm.

    It uses two levels at four shifts of the image. The remaining means do not count,
    because they are not sparse. The noise decides how closely the image explains y (see
    `sparse`), so there is no weight to choose.

    Attributes:
        iterations: number of iterations of the primal-dual algorithm.

    Raises:
        UserError: on construction, if an argument has a wrong type or range.
    """

    packages = (*PACKAGES, "pywt")
    iterations: Any = argument(300, WHOLE)

    def __post_init__(self) -> None:
        clean_arguments(self)

    def __call__(self, measured: Measured, key: jax.Array) -> Any:
        """Returns the image; `key` is not used."""
        who, shape = type(self).__name__, measured.image_shape
        pylops, pyproximal, _ = (package(who, name) for name in self.packages)
        wavelets = pylops.signalprocessing.DWT2D(
            shape, (0, 1), NAME, LEVELS, dtype=np.float32
        )
        shifted = [
            wavelets
            * pylops.Roll(shape, axis=0, shift=down, dtype=np.float32)
            * pylops.Roll(shape, axis=1, shift=right, dtype=np.float32)
            for down, right in SHIFTS
        ]
        scale = 1 / math.sqrt(len(SHIFTS))
        frame = pylops.VStack(shifted, dtype=np.float32) * scale
        weights = np.ones(wavelets.dimsd, np.float32)
        rows, columns = (size >> LEVELS for size in weights.shape[:2])
        weights[:rows, :columns] = 0
        norm = pyproximal.L1(sigma=np.tile(weights.ravel(), len(SHIFTS)))
        return sparsest(who, measured, frame, norm, self.iterations)
