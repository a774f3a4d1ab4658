"""Biharmonic inpainting: fills missing pixels with the smoothest possible surface."""

import dataclasses
from typing import Any

import jax
import numpy as np

from rtil_jax.baselines.interface import Measured
from rtil_jax.baselines.packages import package
from rtil_jax.operators import Inpainting


@dataclasses.dataclass(frozen=True)
class Biharmonic:
    """Fills missing pixels so that the Laplacian of the Laplacian is 0 there.

    It uses scikit-image, and fills pixels that are missing at random or in a box. The
    other pixels stay as measured, including their noise.
    """

    packages = ("skimage",)
    kinds = (Inpainting,)

    def __call__(self, measured: Measured, key: jax.Array) -> Any:
        """Returns the image; `key` is not used."""
        restoration = package(type(self).__name__, "skimage.restoration")
        missing = np.asarray(measured.operator.mask)[..., 0] < 0.5
        known = np.asarray(measured.y, np.float64)
        filled = restoration.inpaint_biharmonic(known, missing, channel_axis=-1)
        return filled.astype(np.float32)
