"""Two steps of `configs/parity/rtil_demo.py`, as the solver takes them.

The tests beside this file take the same steps by formulas of their own, in JAX and in
PyTorch, and compare.
"""

import functools
import tempfile
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from configs.parity import rtil_demo
from rtil_jax import data
from rtil_jax.devices import data_mesh
from rtil_jax.experiments.inversion.inversion_run import parse_inversion
from rtil_jax.experiments.inversion.measuring import problem_of
from rtil_jax.generators import StyleGAN2Generator, init
from rtil_jax.inversion.solver import begin, descend
from rtil_jax.priors.prior import Prior, StyleFit
from tests.references.stylegan2 import random_like, random_variables

SIZE, CHANNELS, LATENT, BATCH = 32, 3, 6, 2
LAYERS, MAPS = 8, 7  # of styles and of noise
STAGES = (0, 2)
# The demo's weight is 0.01. The measurement loss is so large that rounding would hide
# it, so the steps that are compared weigh it more.
GEOCROSS = 1_000.0
# Of the RTIL prior's stage 0, 2,000 steps, after 60 and 61 of them: on the ramp.
RATES = [0.2 * (i / 2_000) / 0.05 for i in (60, 61)]
PIXELS = np.random.default_rng(5).integers(0, 256, (BATCH, SIZE, SIZE, CHANNELS))
PIXELS = PIXELS.astype(np.uint8)


class Taken(NamedTuple):
    """After a step: the variables, and what it found before it moved them."""

    free: dict
    loss: jax.Array
    score: jax.Array


@functools.cache
def prior():
    generator = StyleGAN2Generator(SIZE, CHANNELS, max_channels=5, latent_dim=LATENT)
    fit = random_like(jax.ShapeDtypeStruct((2, LATENT), jnp.float32), seed=3)
    variables = random_variables(functools.partial(init, generator))
    return Prior(generator, variables, StyleFit(fit[0], 1 + 0.2 * fit[1]))


def config(stage):
    """That of the demo, with fewer stages (for 32 pixels) and more geocross."""
    config = rtil_demo.get_config()
    config.method.steps = tuple(config.method.steps)[: stage + 1]
    config.method.geocross = GEOCROSS
    return config


@functools.cache
def problem():
    with tempfile.TemporaryDirectory() as folder:
        for index, pixels in enumerate(PIXELS):
            Image.fromarray(pixels).save(f"{folder}/{index}.png")
        images = data.load_images(
            folder, "test", resolution=SIZE, channels=3, cache_dir=f"{folder}/cache"
        )
        run = parse_inversion(config(0))
        assert run.entries[0].ratio == 0.1
        return problem_of(run, run.entries[0], images, np.arange(BATCH))[0]


@functools.cache
def variables():
    """z_0 and z_1 as an earlier stage may have left them."""
    rng = np.random.default_rng(4)

    def normal(*shape):
        return jnp.asarray(rng.normal(size=(BATCH, *shape)), jnp.float32)

    sizes = [2 ** (i // 2 + 2) for i in range(1, MAPS + 1)]
    noises = tuple(normal(size, size, 1) for size in sizes)
    z_1 = normal(*prior().generator.intermediate_shape(1))
    return {"styles": normal(LAYERS, LATENT), "noises": noises}, z_1


def begun(number):
    """(stage, (start, first iterate))."""
    latents, z_1 = variables()
    method = parse_inversion(config(number)).entries[0].method
    stage = method.stages(prior().generator)[number]
    before = {"latents": latents, "intermediates": {1: z_1} if number else {}}
    return stage, begin(stage, prior(), before)


def our_steps(number):
    """What is taken after one step of a stage, and after two."""
    stage, (start, iterate) = begun(number)
    for rate in RATES:
        # Scores are kept if they are lower: forget them, to see each step's own.
        infinite = jnp.full(BATCH, jnp.inf, jnp.float32)
        iterate, losses = descend(
            stage,
            config(number).select,
            data_mesh(1),
            prior(),
            None,
            problem(),
            start,
            iterate.replace(best_score=infinite),
            jnp.array([rate]),
            1,
        )
        # Copies: the next step donates the iterate.
        yield Taken(
            jax.device_get(iterate.free), losses[0], np.array(iterate.best_score)
        )


def assert_moved_alike(found, expected, before):
    """Up to 1e-4 of the way that the reference has gone, and rounding."""
    error = np.linalg.norm(found - expected)
    rounding = 1e-6 * np.linalg.norm(expected)
    assert error < 1e-4 * np.linalg.norm(expected - before) + rounding
