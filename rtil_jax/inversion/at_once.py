"""Chooses how many steps and images one call of the compiled solver handles.

The choice changes how long an inversion takes, not what it finds.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array

from rtil_jax.generators import Generator, sample_latents
from rtil_jax.priors.prior import Prior

STEPS_AT_ONCE = 10
# On CPUs only, because their caches are small: a batch of 16 at 64 pixels is then a
# fifth faster, and needs no more memory than two images.
IMAGES_AT_ONCE = 2


def steps_at_once(prior: Prior, mesh: jax.sharding.Mesh) -> int:
    """Returns how many steps one call of `descend` makes.

    On CPUs, XLA differentiates a convolution several times more slowly within a loop
    than outside, unless the transposed kernel is explicit, as in
    `rtil_jax.convolutions`. So a generator that convolves in another way makes one
    step per call.
    """
    if not _on_cpu(mesh):
        return STEPS_AT_ONCE
    program = _sample.trace(prior.generator, prior.variables).jaxpr
    return 1 if "conv_general_dilated" in str(program) else STEPS_AT_ONCE


@functools.partial(jax.jit, static_argnames="generator")
def _sample(generator: Generator, variables: dict) -> Array:
    latents = sample_latents(generator, variables, jax.random.key(0), 1)
    return generator.apply(variables, latents)


def images_at_once(steps: int, mesh: jax.sharding.Mesh) -> int:
    """Returns how many images a call of `steps` steps takes together; 0 for all."""
    return IMAGES_AT_ONCE if steps > 1 and _on_cpu(mesh) else 0


def _on_cpu(mesh: jax.sharding.Mesh) -> bool:
    return mesh.devices.flat[0].platform == "cpu"


def in_pieces(function: Callable, size: int, batched: Any) -> Any:
    """Applies a function to a batch, a few images at a time.

    Args:
        function: from a pytree with a leading batch axis to another one.
        size: the most images at a time; pieces have gcd(images, size) images. 0 takes
            all images at once.
        batched: the pytree of the whole batch.
    """
    batch = jax.tree.leaves(batched)[0].shape[0]
    size = math.gcd(batch, size)
    if size == batch:
        return function(batched)
    pieces = jax.tree.map(lambda x: x.reshape(-1, size, *x.shape[1:]), batched)
    found = jax.lax.map(function, pieces)
    return jax.tree.map(lambda x: x.reshape(batch, *x.shape[2:]), found)
