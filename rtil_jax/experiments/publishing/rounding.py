"""Whether a prior's weights may be stored in half the bytes."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from rtil_jax import metrics
from rtil_jax.experiments.scoring.members import draw_member
from rtil_jax.families import Family
from rtil_jax.generators import Generator

# An image so far from the truth (PSNR in dB) may get so much (dB) worse.
RECOVERED, TOLERATED = 30.0, 0.05
IMAGES = 32


def rounded(variables: dict) -> dict:
    """The same as float16; infinite beyond its 65,504."""
    with np.errstate(over="ignore"):
        return jax.tree.map(lambda x: np.asarray(x, np.float16), variables)


def rounding_psnr(
    generator: Generator,
    family: Family,
    variables: dict,
    half: dict,
) -> float:
    """PSNR in dB between images of two sets of weights from the same latents.

    That of the worst of IMAGES images of each member; nan where one overflows.
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
    """How many dB an image loses that is RECOVERED dB from the truth.

    Rounding knows nothing of the truth: the squares of the two errors add.
    """
    return 10 * math.log10(1 + 10 ** ((RECOVERED - psnr) / 10))
