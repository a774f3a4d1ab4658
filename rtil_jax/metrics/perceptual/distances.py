"""Perceptual distances between images: LPIPS, and the l1 distance of VGG features.

Both have the same two halves, so that a loss computes its fixed target's features once:

    perceptual = load_lpips("vgg")
    target = perceptual.features(y)
    loss = perceptual.distance(perceptual.features(x), target)  # (batch,)

They are pytrees of weights. Pass them to jitted functions as arguments: closed over,
their megabytes become constants of the program.
"""

import functools
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.arrays import check_pair
from rtil_jax.metrics.perceptual.networks import VGG16_RELU3_3, Activations, Network

Features = tuple[Activations, ...]


@runtime_checkable
class Perceptual(Protocol):
    """The interface of a perceptual distance."""

    def features(self, images: Any) -> Features:
        """What is compared, of images in [-1, 1], grey or RGB, 32 pixels or more.

        Raises:
            UserError: if the images are too small or neither grey nor RGB.
        """

    def distance(self, x: Features, y: Features) -> Float[Array, " batch"]:
        """The distance of each image from its counterpart, by their features."""

    def __call__(self, x: Any, y: Any) -> Float[Array, " batch"]:
        """The distance of each image of x from its counterpart in y."""


@struct.dataclass
class LPIPS:
    """Learned perceptual image patch similarity (Zhang et al. 2018), version 0.1.

    d(x, y) = sum over layers of the mean over pixels of w . (f(x) - f(y))^2, where f
    are a layer's activations, each pixel's scaled to length 1, and w >= 0 was fitted to
    people's judgements.

    Attributes:
        network: whose activations are compared.
        convolutions: its weights.
        heads: w of each layer that is read, `(channels,)`.
    """

    network: Network = struct.field(pytree_node=False)
    convolutions: Any
    heads: Any

    def __repr__(self) -> str:
        return f"LPIPS({len(self.network.kernels)} convolutions)"

    def features(self, images: Any) -> Features:
        """Activations of length 1 in every pixel; see `Perceptual.features`."""
        activations = self.network.activations(self.convolutions, images)
        return tuple(_unit(x) for x in activations)

    def distance(self, x: Features, y: Features) -> Float[Array, " batch"]:
        """d, from the features of both."""
        layers = zip(x, y, self.heads, strict=True)
        terms = [jnp.mean((a - b) ** 2 @ head, axis=(1, 2)) for a, b, head in layers]
        return functools.reduce(jnp.add, terms)

    def __call__(self, x: Any, y: Any) -> Float[Array, " batch"]:
        """d(x, y).

        Raises:
            UserError: as `features`, or if x and y differ in shape.
        """
        x, y = check_pair("LPIPS", x, y)
        return self.distance(self.features(x), self.features(y))


@struct.dataclass
class VGGL1:
    """0.001 times the mean |f(x) - f(y)|, f the activations relu3_3 of VGG16.

    The regulariser of Gu et al. (2020), which the paper adds to mGANprior's loss for
    inpainting and super-resolution and calls l1 LPIPS. The factor is theirs.

    Attributes:
        convolutions: weights of VGG16's first seven.
    """

    convolutions: Any

    def __repr__(self) -> str:
        return f"VGGL1({len(VGG16_RELU3_3.kernels)} convolutions)"

    def features(self, images: Any) -> Features:
        """Activations relu3_3; see `Perceptual.features`."""
        return VGG16_RELU3_3.activations(self.convolutions, images)

    def distance(self, x: Features, y: Features) -> Float[Array, " batch"]:
        """The distance, from the features of both."""
        (a,), (b,) = x, y
        return 0.001 * jnp.mean(jnp.abs(a - b), axis=(1, 2, 3))

    def __call__(self, x: Any, y: Any) -> Float[Array, " batch"]:
        """The distance of each image of x from its counterpart in y."""
        x, y = check_pair("VGGL1", x, y)
        return self.distance(self.features(x), self.features(y))


def _unit(x: Activations) -> Activations:
    """Each pixel's activations divided by their norm (+ 1e-10); 0 stays 0.

    The square root has no gradient at 0, where the public code's becomes NaN.
    """
    squared = jnp.sum(x**2, axis=-1, keepdims=True)
    norm = jnp.sqrt(jnp.where(squared > 0, squared, 1.0))
    return x / (norm + 1e-10)
