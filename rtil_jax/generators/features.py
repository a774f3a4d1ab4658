"""Features with an RGB skip, and the weighted sum of the features of several codes."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float


@struct.dataclass
class SkipFeatures:
    """The activations after a block, together with the image that earlier blocks made.

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
        """Returns the features without the RGB of this and all earlier blocks.

        The public ILO code restarts the synthesis like this at each stage. That is not
        the g_1 that the prior was trained with.
        """
        return dataclasses.replace(self, rgb=None)


def mix_codes(features: Any, weights: Float[Array, "batch codes channels"]) -> Any:
    """Returns sum_n F^n * alpha^n, a weighted sum of the features of N codes
    (Section 2.3).

    Args:
        features: of every code, `(batch * codes, height, width, channels)`; the codes
            of an image are neighbours. Or a pytree of such arrays.
        weights: alpha, `(batch, codes, channels)`. A single channel weighs all channels
            alike. An RGB skip has other channels, so it takes the mean over channels.

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
