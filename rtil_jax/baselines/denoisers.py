"""Denoisers for `PlugAndPlay`: functions of a NumPy image and its noise level sigma."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from rtil_jax.baselines.packages import package

Pixels = Float[np.ndarray, "height width channels"]


class Denoiser(NamedTuple):
    """A denoiser, with the name of the module that it needs."""

    module: str
    run: Callable[[Pixels, float], Pixels]


def non_local_means(image: Pixels, sigma: float) -> Pixels:
    """Denoises by non-local means (Buades et al. 2005), in scikit-image's fast mode."""
    restoration = package("non_local_means", "skimage.restoration")
    patches = {"patch_size": 5, "patch_distance": 6, "fast_mode": True}
    denoised = restoration.denoise_nl_means(
        image, h=0.8 * sigma, sigma=sigma, channel_axis=-1, **patches
    )
    return denoised.reshape(image.shape)


def bm3d(image: Pixels, sigma: float) -> Pixels:
    """Denoises by BM3D (Dabov et al. 2007), with the package of its authors."""
    module = package("bm3d", "bm3d")
    run = module.bm3d_rgb if image.shape[-1] == 3 else module.bm3d
    return np.reshape(run(image.astype(np.float64), sigma), image.shape)


DENOISERS = {
    "non_local_means": Denoiser("skimage", non_local_means),
    "bm3d": Denoiser("bm3d", bm3d),
}
