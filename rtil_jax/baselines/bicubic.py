"""Super-resolution: bicubic enlargement and back-projection (Irani and Peleg 1991)."""

import dataclasses
import functools
from typing import Any

import jax
from jaxtyping import Array

from rtil_jax.arguments import WHOLE, argument, clean_arguments
from rtil_jax.baselines.interface import Measured
from rtil_jax.operators import SuperResolution


@dataclasses.dataclass(frozen=True)
class Bicubic:
    """Enlarges a small image bicubically, then corrects it until it explains y.

    Each correction reduces the image, compares it with y, and adds the enlarged
    difference.

    Attributes:
        back_projections: number of corrections, at least 0.

    Raises:
        UserError: on construction, if an argument has a wrong type or range.
    """

    kinds = (SuperResolution,)
    back_projections: Any = argument(20, WHOLE)

    def __post_init__(self) -> None:
        clean_arguments(self)

    def __call__(self, measured: Measured, key: jax.Array) -> Any:
        """Returns the image; `key` is not used."""
        return _enlarged(measured, self.back_projections)


@functools.partial(jax.jit, static_argnames="back_projections")
def _enlarged(measured: Measured, back_projections: int) -> Array:
    def enlarge(small: Array) -> Array:
        return jax.image.resize(small, measured.image_shape, "cubic")

    def step(_: int | Array, image: Array) -> Array:
        return image + enlarge(measured.y - measured.operator(image))

    return jax.lax.fori_loop(0, back_projections, step, enlarge(measured.y))
