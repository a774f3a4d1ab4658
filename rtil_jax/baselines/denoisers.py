"""Denoisers by name: (image, sigma of its noise) -> image, as NumPy arrays."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from rtil_jax.baselines.packages import package

Pixels = Float[np.ndarray, "height width channels"]


class Denoiser(NamedTuple):
    """A denoiser and the module that it needs."""

    module: str
    run: Callable[[Pixels, float], Pixels]


def non_local_means(image: Pixels, sigma: float) -> Pixels:
    """Non-local means (Buades et al. 2005), the fast form of scikit-image."""
    restoration = package("non_local_means", "skimage.restoration")
    patches = {"patch_size": 5, "patch_distance": 6, "fast_mode": True}
    denoised = restoration.denoise_nl_means(
        image, h=0.8 * sigma, sigma=sigma, channel_axis=-1, **patches
    )
    return denoised.reshape(image.shape)


def bm3d(image: Pixels, sigma: float) -> Pixels:
    """BM3D (Dabov et al. 2007) of its authors' package."""
    module = package("bm3d", "bm3d")
    run = module.bm3d_rgb if image.shape[-1] == 3 else module.bm3d
    return np.reshape(run(image.astype(np.float64), sigma), image.shape)


DENOISERS = {
    "non_local_means": Denoiser("skimage", non_local_means),
    "bm3d": Denoiser("bm3d", bm3d),
}
