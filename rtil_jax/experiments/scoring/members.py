"""Draws images of one member of a prior's family."""

from functools import partial

import jax
import numpy as np
from jaxtyping import Array, Float

from rtil_jax.families import Family, images_of
from rtil_jax.generators import Generator


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def draw_member(
    generator: Generator,
    family: Family,
    member: int,
    batch: int,
    variables: dict,
    key: jax.Array,
) -> Float[Array, "batch height width channels"]:
    """Draws images of one member of a family.

    With the same key, all members of an additive family have the same z_0.

    Args:
        generator: the generator.
        family: the family that it was trained with.
        member: the number of the member; 0 is G itself.
        batch: number of images.
        variables: `{"params": ...}` of the generator.
        key: the PRNG key of the images.
    """
    return images_of(family, generator, variables, key, np.full(batch, member))
