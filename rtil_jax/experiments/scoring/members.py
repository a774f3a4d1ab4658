"""Images of one member of a prior's family."""

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
    """`batch` images of G^member; of an additive family, members share their z_0."""
    return images_of(family, generator, variables, key, np.full(batch, member))
