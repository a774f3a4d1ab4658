"""How large a generator's features are: the units of what is added to them."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rtil_jax.generators.interface import Generator, Latents, sample_latents


def feature_rms(
    generator: Generator, variables: dict, latents: Latents, blocks: tuple[int, ...]
) -> dict[int, Float[Array, ""]]:
    """Block -> root mean square of G's features there, those that z_k is added to.

    The mean is over the images of the latents, pixels and channels.

    Args:
        generator: any with the interface of `rtil_jax.generators`.
        variables: its variables, `{"params": ...}`.
        latents: of the images to measure.
        blocks: counted from 1.
    """
    features = features_after(generator, variables, latents, blocks)
    return {block: jnp.sqrt(jnp.mean(x**2)) for block, x in features.items()}


@functools.partial(jax.jit, static_argnums=(0, 3))
def drawn_feature_rms(
    generator: Generator, variables: dict, key: jax.Array, images: int
) -> dict[int, Float[Array, ""]]:
    """`feature_rms` after every block, over as many images of G as are asked for.

    Args:
        generator: any with the interface of `rtil_jax.generators`.
        variables: its variables, `{"params": ...}`.
        key: of the latents.
        images: how many to measure.
    """
    latents = sample_latents(generator, variables, key, images)
    blocks = tuple(range(1, generator.num_blocks + 1))
    return feature_rms(generator, variables, latents, blocks)


def features_after(
    generator: Generator, variables: dict, latents: Latents, blocks: tuple[int, ...]
) -> dict[int, Float[Array, "batch height width channels"]]:
    """Block -> G's features there in float32, without an RGB skip.

    Args:
        generator: any with the interface of `rtil_jax.generators`.
        variables: its variables, `{"params": ...}`.
        latents: of a batch.
        blocks: counted from 1.
    """
    found = {}
    for block in blocks:  # what the heads share, XLA computes once
        features = generator.apply(variables, latents, block, method="head")
        found[block] = jnp.float32(getattr(features, "activations", features))
    return found
