"""The Fréchet distance `frechet_vgg`, between Gaussians fitted to features of VGG16.

    |m - n|^2 + tr(C + D - 2 (C D)^(1/2))

for means m, n and covariances C, D is the squared Wasserstein-2 distance of N(m, C) and
N(n, D) (Dowson and Landau 1982). FID (Heusel et al. 2017) is this distance for features
of an Inception network. Here the features are those of LPIPS's VGG16, averaged over the
pixels of its last layer, so the numbers are not FIDs. Compare them only with each
other, and only for the same number of images: few images give larger numbers.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.metrics.perceptual import load_lpips
from rtil_jax.metrics.perceptual.networks import VGG16, Images, Network

_LAST = dataclasses.replace(VGG16, read_after=(12,))  # relu5_3


@struct.dataclass
class FrechetVGG:
    """The network whose features are compared.

    Attributes:
        convolutions: the weights of the network.
        network: VGG16, whose features are read after one layer.
    """

    convolutions: Any
    network: Network = struct.field(pytree_node=False, default=_LAST)

    @jax.jit
    def features(self, images: Images) -> Float[Array, "batch features"]:
        """Returns the features of images in [-1, 1]: means over pixels of activations.

        Raises:
            UserError: if the images are smaller than 32 x 32 pixels, or neither grey
                nor RGB.
        """
        (activations,) = self.network.activations(self.convolutions, images)
        return jnp.mean(activations, axis=(1, 2))


def load_frechet_vgg() -> FrechetVGG:
    """Loads the trained network.

    Raises:
        UserError: if its weights are not installed.
    """
    return FrechetVGG(load_lpips("vgg").convolutions)


def feature_distance(
    x: Float[np.ndarray, "count features"], y: Float[np.ndarray, "count2 features"]
) -> float:
    """Returns the distance between Gaussians fitted to two sets of features."""
    return frechet_distance(*_moments(x), *_moments(y))


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features = features.astype(np.float64)
    return features.mean(axis=0), np.cov(features, rowvar=False)


def frechet_distance(
    m: Float[np.ndarray, " size"],
    c: Float[np.ndarray, "size size"],
    n: Float[np.ndarray, " size"],
    d: Float[np.ndarray, "size size"],
) -> float:
    """Returns the distance of N(m, C) and N(n, D), in float64; C and D may be singular.

    It uses the symmetric matrix C^(1/2) D C^(1/2), which has the same eigenvalues as
    C D, because the root of C D itself may become complex by rounding.

    Args:
        m: the first mean, `(size,)`.
        c: the first covariance, `(size, size)`.
        n: the second mean, `(size,)`.
        d: the second covariance, `(size, size)`.
    """
    root = symmetric_root(c)
    eigenvalues = np.linalg.eigvalsh(root @ d @ root)
    cross = np.sum(np.sqrt(np.maximum(eigenvalues, 0)))
    return float(np.sum((m - n) ** 2) + np.trace(c) + np.trace(d) - 2 * cross)


def symmetric_root(c: Float[np.ndarray, "size size"]) -> Float[np.ndarray, "size size"]:
    """Returns the square root of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(np.asarray(c, np.float64))
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
