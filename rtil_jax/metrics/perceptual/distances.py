"""Perceptual distances between images: LPIPS, and the l1 distance of VGG features.

Both have two steps, so that a loss can compute the features of a fixed target once:

    perceptual = load_lpips("vgg")
    target = perceptual.features(y)
    loss = perceptual.distance(perceptual.features(x), target)  # (batch,)

They are pytrees of weights. Pass them to jitted functions as arguments; if a function
closes over them, their megabytes become constants of the program.
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
        """Returns the features of images in [-1, 1], grey or RGB, from 32 x 32 pixels.

        Raises:
            UserError: if the images are too small or neither grey nor RGB.
        """

    def distance(self, x: Features, y: Features) -> Float[Array, " batch"]:
        """Returns the distance of each pair of images from their features."""

    def __call__(self, x: Any, y: Any) -> Float[Array, " batch"]:
        """Returns the distance of each image of x from its counterpart in y."""


@struct.dataclass
class LPIPS:
    """Learned perceptual image patch similarity (Zhang et al. 2018), version 0.1.

    d(x, y) = sum over layers of the mean over pixels of w . (f(x) - f(y))^2, where f
    are the activations of a layer, scaled to length 1 in each pixel, and w >= 0 was
    fitted to human judgements.

    Attributes:
        network: the network whose activations are compared.
        convolutions: its weights.
        heads: w of each layer, `(channels,)`.
    """

    network: Network = struct.field(pytree_node=False)
    convolutions: Any
    heads: Any

    def __repr__(self) -> str:
        return f"LPIPS({len(self.network.kernels)} convolutions)"

    def features(self, images: Any) -> Features:
        """Returns activations, scaled to length 1 in every pixel.

        See `Perceptual.features`.
        """
        activations = self.network.activations(self.convolutions, images)
        return tuple(_unit(x) for x in activations)

    def distance(self, x: Features, y: Features) -> Float[Array, " batch"]:
        """Returns d from the features of both images."""
        layers = zip(x, y, self.heads, strict=True)
        terms = [jnp.mean((a - b) ** 2 @ head, axis=(1, 2)) for a, b, head in layers]
        return functools.reduce(jnp.add, terms)

    def __call__(self, x: Any, y: Any) -> Float[Array, " batch"]:
        """Returns d(x, y).

        Raises:
            UserError: as `features`, or if x and y differ in shape.
        """
        x, y = check_pair("LPIPS", x, y)
        return self.distance(self.features(x), self.features(y))


@struct.dataclass
class VGGL1:
    """The l1 distance of VGG16 features: 0.001 times the mean of |f(x) - f(y)|.

    f are the activations relu3_3 of VGG16. This is the regulariser of Gu et al. (2020),
    with their factor. The paper calls it l1 LPIPS, and adds it to mGANprior's loss for
    inpainting and super-resolution.

    Attributes:
        convolutions: the weights of VGG16's first seven convolutions.
    """

    convolutions: Any

    def __repr__(self) -> str:
        return f"VGGL1({len(VGG16_RELU3_3.kernels)} convolutions)"

    def features(self, images: Any) -> Features:
        """Returns the activations relu3_3; see `Perceptual.features`."""
        return VGG16_RELU3_3.activations(self.convolutions, images)

    def distance(self, x: Features, y: Features) -> Float[Array, " batch"]:
        """Returns the distance from the features of both images."""
        (a,), (b,) = x, y
        return 0.001 * jnp.mean(jnp.abs(a - b), axis=(1, 2, 3))

    def __call__(self, x: Any, y: Any) -> Float[Array, " batch"]:
        """Returns the distance of each image of x from its counterpart in y."""
        x, y = check_pair("VGGL1", x, y)
        return self.distance(self.features(x), self.features(y))


def _unit(x: Activations) -> Activations:
    """Divides the activations of each pixel by their norm (+ 1e-10); 0 stays 0.

    The gradient is 0 at 0, where that of the public code is NaN.
    """
    squared = jnp.sum(x**2, axis=-1, keepdims=True)
    norm = jnp.sqrt(jnp.where(squared > 0, squared, 1.0))
    return x / (norm + 1e-10)
