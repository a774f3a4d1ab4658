"""Features that carry an RGB skip, and the weighted sum of several codes' features."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float


@struct.dataclass
class SkipFeatures:
    """Features after a block, before anything reads them, and the image so far.

    Adding z_k to it perturbs the activations, as in g_1(z_k + g_0(z_0)).

    Attributes:
        activations: `(batch, height, width, channels)`.
        rgb: the RGB skip of all earlier blocks, already at this block's size,
            `(batch, height, width, image channels)`; None once dropped.
    """

    activations: Any  # Any: JAX also rebuilds pytrees of shapes and specs
    rgb: Any

    def __add__(self, perturbation: Array) -> "SkipFeatures":
        return dataclasses.replace(self, activations=self.activations + perturbation)

    def drop_skip(self) -> "SkipFeatures":
        """Without the RGB of this and all earlier blocks.

        The public ILO code restarts the synthesis like this at each stage; it is not
        the g_1 that the prior was trained with.
        """
        return dataclasses.replace(self, rgb=None)


def mix_codes(features: Any, weights: Float[Array, "batch codes channels"]) -> Any:
    """sum_n F^n * alpha^n: several codes' features as one (Section 2.3).

    Args:
        features: of every code, `(batch * codes, height, width, channels)`; the codes
            of an image lie side by side. Or a pytree of such arrays.
        weights: alpha, per code and channel; one channel weighs all of them alike. An
            RGB skip, which has other channels, takes their mean.

    Returns:
        The features of `batch` images.
    """
    batch, codes, _ = weights.shape

    def mix(x: Array, weights: Array) -> Array:
        x = x.reshape(batch, codes, *x.shape[1:])
        return jnp.sum(x * weights[:, :, None, None, :], axis=1)

    if isinstance(features, SkipFeatures):
        alike = jnp.mean(weights, axis=-1, keepdims=True)
        rgb = None if features.rgb is None else mix(features.rgb, alike)
        return SkipFeatures(mix(features.activations, weights), rgb)
    return jax.tree.map(lambda x: mix(x, weights), features)
