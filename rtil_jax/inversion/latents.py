"""The free form of z_0: which variables an inversion moves to reach other latents.

A latent space draws its variables for one image from a key, says which of them a stage
moves, and decodes them to the generator's latents. Everything but `sample` is batched.
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
    """The interface; implementations are hashable."""

    def sample(self, prior: Prior, key: jax.Array) -> Variables:
        """The starting point of one image, without a batch axis."""

    def free(self, variables: Variables, stage: int) -> Mask:
        """Which of the variables stage `stage` moves."""

    def decode(self, prior: Prior, variables: Variables) -> Latents:
        """What the generator reads."""


def _one_sample(prior: Prior, key: jax.Array) -> Latents:
    latents = sample_latents(prior.generator, prior.variables, key, 1)
    return jax.tree.map(lambda x: x[0], latents)


@dataclasses.dataclass(frozen=True)
class PlainSpace:
    """The generator's own latents, all free: for generators without styles."""

    def sample(self, prior: Prior, key: jax.Array) -> Variables:
        return _one_sample(prior, key)

    def free(self, variables: Variables, stage: int) -> Mask:
        return True

    def decode(self, prior: Prior, variables: Variables) -> Latents:
        return variables


@dataclasses.dataclass(frozen=True)
class MappingSpace:
    """z of StyleGAN2, through its mapping network; the noise maps keep their draw."""

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
    """One z per layer through `StyleFit`, and noise maps: what ILO moves.

    As in the public code, stage k moves the first 5 + 2 k noise maps.
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
    """The z of a mapping space's variables, without noise maps."""
    return variables["z"] if "z" in variables else variables


def mapping_space(generator: Generator) -> LatentSpace:
    """z of a generator with a mapping network, else its latents as they are."""
    return MappingSpace() if has_styles(generator) else PlainSpace()


def style_space(generator: Generator) -> LatentSpace:
    """Styles per layer where the generator has them, else its latents as they are."""
    return StyleSpace() if has_styles(generator) else PlainSpace()


def rescale_latents(latents: Variables, start: Variables) -> Variables:
    """Every style vector and every other array back to its norm in `start`.

    Styles are `(batch, layers, latent)`: a sphere for each layer. Noise maps and plain
    latents have one sphere per image and array.
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
    """Styles (together) and noise maps (each) into l1 balls around `start`.

    None leaves them free. Plain latents count as styles.

    Args:
        latents: styles and noise maps of a batch.
        start: the centres, alike.
        style_radius: of the ball of all styles of an image.
        noise_radius: of that of each noise map.
    """

    def clip(path: tuple, x: Array, start: Array) -> Array:
        is_noise = path and getattr(path[0], "key", None) == "noises"
        radius = noise_radius if is_noise else style_radius
        return x if radius is None else to_l1_ball(x, start, radius)

    return jax.tree_util.tree_map_with_path(clip, latents, start)
