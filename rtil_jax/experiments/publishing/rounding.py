"""Decides whether the weights of a prior can be stored as float16."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from rtil_jax import metrics
from rtil_jax.experiments.scoring.members import draw_member
from rtil_jax.families import Family
from rtil_jax.generators import Generator

# A recovered image with the first PSNR (dB) may lose the second number of dB.
RECOVERED, TOLERATED = 30.0, 0.05
IMAGES = 32


def rounded(variables: dict) -> dict:
    """Rounds variables to float16; numbers beyond 65,504 become infinite."""
    with np.errstate(over="ignore"):
        return jax.tree.map(lambda x: np.asarray(x, np.float16), variables)


def rounding_psnr(
    generator: Generator,
    family: Family,
    variables: dict,
    half: dict,
) -> float:
    """Returns the PSNR in dB between images of exact and rounded weights.

    It is the worst of IMAGES images of each member, or NaN if one overflows.

    Args:
        generator: the generator.
        family: the family, whose members are compared.
        variables: the exact variables.
        half: the rounded variables.
    """
    whole, key = jax.tree.map(jnp.float32, half), jax.random.key(0)
    found = []
    for member in range(family.num_members):
        x, y = (
            (jnp.clip(image, -1, 1) + 1) / 2
            for image in (
                draw_member(generator, family, member, IMAGES, weights, key)
                for weights in (variables, whole)
            )
        )
        found.append(metrics.psnr(x, y))
    return float(jnp.min(jnp.stack(found)))


def lost(psnr: float) -> float:
    """Returns how many dB a recovered image with PSNR RECOVERED loses by rounding.

    Rounding is independent of the truth, so the squares of the two errors add.
    """
    return 10 * math.log10(1 + 10 ** ((RECOVERED - psnr) / 10))
