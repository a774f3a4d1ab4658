"""Latent spaces: the variables that an inversion moves in order to change z_0.

A latent space draws the variables of one image from a key, says which of them a stage
moves, and decodes them to the generator's latents. All methods except `sample` take a
batch.
"""

import dataclasses
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from rtil_jax.generators import Generator, sample_latents
from rtil_jax.generators.interface import Latents
from rtil_jax.inversion.constraints import to_l1_ball, to_sphere
from rtil_jax.inversion.stages import Mask, Variables
from rtil_jax.priors.prior import Prior, has_styles


@runtime_checkable
class LatentSpace(Protocol):
    """The interface of a latent space; implementations are hashable."""

    def sample(self, prior: Prior, key: jax.Array) -> Variables:
        """Draws the starting point of one image, without a batch axis."""

    def free(self, variables: Variables, stage: int) -> Mask:
        """Returns the mask of the variables that this stage moves."""

    def decode(self, prior: Prior, variables: Variables) -> Latents:
        """Returns the latents that the generator reads."""


def _one_sample(prior: Prior, key: jax.Array) -> Latents:
    latents = sample_latents(prior.generator, prior.variables, key, 1)
    return jax.tree.map(lambda x: x[0], latents)


@dataclasses.dataclass(frozen=True)
class PlainSpace:
    """Moves all latents of the generator directly: for generators without styles."""

    def sample(self, prior: Prior, key: jax.Array) -> Variables:
        return _one_sample(prior, key)

    def free(self, variables: Variables, stage: int) -> Mask:
        return True

    def decode(self, prior: Prior, variables: Variables) -> Latents:
        return variables


@dataclasses.dataclass(frozen=True)
class MappingSpace:
    """Moves z before StyleGAN2's mapping network; the noise maps stay as drawn."""

    def sample(self, prior: Prior, key: jax.Array) -> Variables:
        z_key, noise_key = jax.random.split(key)
        latents = _one_sample(prior, noise_key)
        z = jax.random.normal(z_key, latents["styles"].shape[-1:], jnp.float32)
        return {"z": z, "noises": latents["noises"]}

    def free(self, variables: Variables, stage: int) -> Mask:
        return {"z": True, "noises": False}

    def decode(self, prior: Prior, variables: Variables) -> Latents:
        z, noises = variables["z"], variables["noises"]
        styles = prior.generator.apply(prior.variables, z, method="map_styles")
        return {"styles": styles, "noises": noises}


@dataclasses.dataclass(frozen=True)
class StyleSpace:
    """Moves one z per layer, mapped to styles by `StyleFit`, and the noise maps.

    ILO searches this space. As in the public code, stage k moves the first 5 + 2 k
    noise maps.
    """

    def sample(self, prior: Prior, key: jax.Array) -> Variables:
        style_key, noise_key = jax.random.split(key)
        latents = _one_sample(prior, noise_key)
        styles = jax.random.normal(style_key, latents["styles"].shape, jnp.float32)
        return {"styles": styles, "noises": latents["noises"]}

    def free(self, variables: Variables, stage: int) -> Mask:
        moved = tuple(i < 5 + 2 * stage for i in range(len(variables["noises"])))
        return {"styles": True, "noises": moved}

    def decode(self, prior: Prior, variables: Variables) -> Latents:
        return variables | {"styles": prior.style_fit(variables["styles"])}


def codes_of(variables: Variables) -> Variables:
    """Returns z from the variables of a mapping space, without the noise maps."""
    return variables["z"] if "z" in variables else variables


def mapping_space(generator: Generator) -> LatentSpace:
    """Returns the latent space of z: before the mapping network if there is one."""
    return MappingSpace() if has_styles(generator) else PlainSpace()


def style_space(generator: Generator) -> LatentSpace:
    """Returns the latent space of styles per layer, or of z without styles."""
    return StyleSpace() if has_styles(generator) else PlainSpace()


def rescale_latents(latents: Variables, start: Variables) -> Variables:
    """Rescales every style vector and every other array to its norm in `start`.

    Styles are `(batch, layers, latent)`, with one norm for each layer. Noise maps and
    plain latents have one norm for each image and array.
    """

    def rescale(path: tuple, x: Array, start: Array) -> Array:
        per_layer = path and getattr(path[0], "key", None) == "styles"
        axes = (x.ndim - 1,) if per_layer else tuple(range(1, x.ndim))
        return to_sphere(x, start, axes)

    return jax.tree_util.tree_map_with_path(rescale, latents, start)


def clip_latents(
    latents: Variables,
    start: Variables,
    style_radius: float | Array | None,
    noise_radius: float | Array | None,
) -> Variables:
    """Projects styles and noise maps into l1 balls around `start`.

    All styles of an image share one ball; each noise map has its own. Plain latents
    count as styles.

    Args:
        latents: styles and noise maps of a batch.
        start: the centres of the balls, in the same form.
        style_radius: the radius for the styles, at least 0; None for no ball.
        noise_radius: the radius for each noise map, at least 0; None for no ball.
    """

    def clip(path: tuple, x: Array, start: Array) -> Array:
        is_noise = path and getattr(path[0], "key", None) == "noises"
        radius = noise_radius if is_noise else style_radius
        return x if radius is None else to_l1_ball(x, start, radius)

    return jax.tree_util.tree_map_with_path(clip, latents, start)
