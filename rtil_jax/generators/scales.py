"""Measures how large the features of a generator are.

These sizes are the units of the perturbations z_k, which are added to the features.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rtil_jax.generators.interface import Generator, Latents, sample_latents


def feature_rms(
    generator: Generator, variables: dict, latents: Latents, blocks: tuple[int, ...]
) -> dict[int, Float[Array, ""]]:
    """Returns the root mean square of G's features after each block, as {block: rms}.

    The mean is over images, pixels and channels.

    Args:
        generator: any with the interface of `rtil_jax.generators`.
        variables: its variables, `{"params": ...}`.
        latents: z_0 of the images to measure.
        blocks: after which blocks to measure, counted from 1.
    """
    features = features_after(generator, variables, latents, blocks)
    return {block: jnp.sqrt(jnp.mean(x**2)) for block, x in features.items()}


@functools.partial(jax.jit, static_argnums=(0, 3))
def drawn_feature_rms(
    generator: Generator, variables: dict, key: jax.Array, images: int
) -> dict[int, Float[Array, ""]]:
    """Returns `feature_rms` after every block, measured on random images of G.

    Args:
        generator: any with the interface of `rtil_jax.generators`.
        variables: its variables, `{"params": ...}`.
        key: the PRNG key to draw the latents from.
        images: how many images to measure.
    """
    latents = sample_latents(generator, variables, key, images)
    blocks = tuple(range(1, generator.num_blocks + 1))
    return feature_rms(generator, variables, latents, blocks)


def features_after(
    generator: Generator, variables: dict, latents: Latents, blocks: tuple[int, ...]
) -> dict[int, Float[Array, "batch height width channels"]]:
    """Returns G's features after each block in float32, without an RGB skip.

    Args:
        generator: any with the interface of `rtil_jax.generators`.
        variables: its variables, `{"params": ...}`.
        latents: z_0 of a batch.
        blocks: after which blocks, counted from 1.
    """
    found = {}
    for block in blocks:  # XLA computes once what the heads share
        features = generator.apply(variables, latents, block, method="head")
        found[block] = jnp.float32(getattr(features, "activations", features))
    return found
