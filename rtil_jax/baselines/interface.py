"""What a baseline is: a function from the measurements of one image to the image."""

from typing import Any, Protocol, runtime_checkable

import jax
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.operators import OPERATORS, PhaseRetrieval
from rtil_jax.operators.interface import ImageShape

Image = Float[Array, "height width channels"]


@struct.dataclass
class Measured:
    """y = A(x) + noise of one image.

    Attributes:
        operator: A.
        y: real or complex.
        image_shape: `(height, width, channels)` of x.
        noise_std: of the noise on y, in the units of y; 0 without noise.
    """

    operator: Any
    y: Any
    image_shape: ImageShape = struct.field(pytree_node=False)
    noise_std: Any = 0.0


@runtime_checkable
class Baseline(Protocol):
    """Hashable. Any function of these two arguments does, too.

    It may say for what operators it is with `kinds`, a tuple of their classes; without
    it, it is for every linear operator. `packages` are the modules that it imports.
    """

    def __call__(self, measured: Measured, key: jax.Array) -> Any:
        """The image `(height, width, channels)`, nominally in [-1, 1]."""


def misfit(baseline: Any, kind: type) -> str:
    """The problems that a baseline is for, if operators of `kind` are none of them.

    Empty if they fit. What operators of other libraries do is not known here.
    """
    kinds = getattr(baseline, "kinds", None)
    if kinds is None:
        return "a linear operator" if issubclass(kind, PhaseRetrieval) else ""
    if issubclass(kind, kinds):
        return ""
    return " or ".join(name for name, k in OPERATORS.items() if issubclass(k, kinds))
