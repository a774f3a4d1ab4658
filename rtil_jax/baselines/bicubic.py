"""Bicubic enlargement and back-projection (Irani and Peleg 1991)."""

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
    """Enlarges the small image, then what its reduction still lacks, again and again.

    Attributes:
        back_projections: how often; 0 is the enlargement alone.

    Raises:
        UserError: at once, for an argument of a wrong type or range.
    """

    kinds = (SuperResolution,)
    back_projections: Any = argument(20, WHOLE)

    def __post_init__(self) -> None:
        clean_arguments(self)

    def __call__(self, measured: Measured, key: jax.Array) -> Any:
        """The image; `key` is unused."""
        return _enlarged(measured, self.back_projections)


@functools.partial(jax.jit, static_argnames="back_projections")
def _enlarged(measured: Measured, back_projections: int) -> Array:
    def enlarge(small: Array) -> Array:
        return jax.image.resize(small, measured.image_shape, "cubic")

    def step(_: int | Array, image: Array) -> Array:
        return image + enlarge(measured.y - measured.operator(image))

    return jax.lax.fori_loop(0, back_projections, step, enlarge(measured.y))
