"""The interface of a baseline: a function from the measurements of an image to it."""

from typing import Any, Protocol, runtime_checkable

import jax
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.operators import OPERATORS, PhaseRetrieval
from rtil_jax.operators.interface import ImageShape

Image = Float[Array, "height width channels"]


@struct.dataclass
class Measured:
    """The measurements of one image, y = A(x) + noise.

    Attributes:
        operator: A.
        y: the measurements, real or complex.
        image_shape: `(height, width, channels)` of x.
        noise_std: standard deviation of the noise on y, in the units of y; 0 without
            noise.
    """

    operator: Any
    y: Any
    image_shape: ImageShape = struct.field(pytree_node=False)
    noise_std: Any = 0.0


@runtime_checkable
class Baseline(Protocol):
    """The interface of a baseline, which is hashable. A plain function works too.

    An attribute `kinds`, a tuple of operator classes, limits it to these operators;
    without it, it takes every linear operator. An attribute `packages` names the
    modules that it imports.
    """

    def __call__(self, measured: Measured, key: jax.Array) -> Any:
        """Returns the image `(height, width, channels)`, nominally in [-1, 1]."""


def misfit(baseline: Any, kind: type) -> str:
    """Says which problems a baseline is for, if operators of class `kind` do not fit.

    Returns "" if they fit. Operators of other libraries count as linear.
    """
    kinds = getattr(baseline, "kinds", None)
    if kinds is None:
        return "a linear operator" if issubclass(kind, PhaseRetrieval) else ""
    if issubclass(kind, kinds):
        return ""
    return " or ".join(name for name, k in OPERATORS.items() if issubclass(k, kinds))
