"""Measures the standard deviation of a prior's features after each block.

These numbers are units for z_k. There is one for each block except the last, whose
features no block reads. Each is the root of the variance over images, averaged over
pixels and channels, so what all images share, such as StyleGAN2's constant, does not
count.
"""

import functools
import json

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rtil_jax.errors import UserError
from rtil_jax.files import replacing
from rtil_jax.generators import Generator, sample_latents
from rtil_jax.generators.scales import features_after

# A file in a prior's directory, with a list of numbers.
FEATURE_SCALES = "feature_scales.json"
SAMPLES = 256
_CHUNK = 16  # images at once; few, because 256-pixel images are large


@functools.partial(jax.jit, static_argnums=0)
def measure_scales(generator: Generator, variables: dict) -> Float[Array, " blocks"]:
    """Measures the scales over `SAMPLES` images of G, always the same ones."""
    blocks = tuple(range(1, generator.num_blocks))

    def moments(key: jax.Array) -> tuple[dict[int, Array], dict[int, Array]]:
        latents = sample_latents(generator, variables, key, _CHUNK)
        features = features_after(generator, variables, latents, blocks)
        means = jax.tree.map(lambda x: jnp.mean(x, axis=0), features)
        return means, jax.tree.map(lambda x: jnp.mean(x**2, axis=0), features)

    keys = jax.random.split(jax.random.key(0), SAMPLES // _CHUNK)
    found = jax.lax.map(moments, keys)
    means, squares = jax.tree.map(lambda x: jnp.mean(x, axis=0), found)
    variances = [jnp.mean(squares[k] - means[k] ** 2) for k in blocks]
    # Features that do not vary would give z_k a scale of 0.
    return jnp.sqrt(jnp.maximum(jnp.array(variances, jnp.float32), 1e-12))


def write_scales(path: str, scales: Float[Array, " blocks"]) -> None:
    with replacing(path) as file:
        json.dump([float(scale) for scale in scales], file)


def read_scales(path: str, generator: Generator) -> Float[Array, " blocks"]:
    """Reads scales; raises UserError unless each block except the last has one."""
    count = generator.num_blocks - 1
    try:
        with open(path, encoding="utf-8") as file:
            scales = jnp.array(json.load(file), jnp.float32)
        if scales.shape != (count,) or not jnp.all((scales > 0) & (scales < jnp.inf)):
            raise ValueError(f"numbers of shape {scales.shape}")
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{path}: found other contents ({str(error).partition(chr(10))[0]}), "
            f"expected a list of {count} positive numbers"
        ) from error
    return scales
