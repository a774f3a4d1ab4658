"""Measurements from files: a name, y and an operator for each image."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rtil_jax import data
from rtil_jax.errors import UserError
from rtil_jax.inversion.problems import Problem
from rtil_jax.operators.interface import ImageShape


@dataclasses.dataclass(frozen=True, repr=False)
class Measured:
    """The measurements in a file or a folder.

    Attributes:
        source: what was read, for messages.
        names: the names of the images.
        identities: identify the measurements of each image by content.
        problem: a name in `rtil_jax.operators.KINDS`.
        ratio: how much is measured, in the problem's terms.
        y: `(images, ...)`, real or complex.
        operators: one for all images, or one for each with a leading axis.
        shared: whether all images share the operator.
        remarks: what was done to the pictures, in words.
        facts: fields of the config that the file states, such as `noise_std`.
        truth: the true images, if known, or None.
        image_shape: `(height, width, channels)` of the images to recover.
    """

    source: str
    names: tuple[str, ...]
    identities: tuple[str, ...]
    problem: str
    ratio: float
    y: np.ndarray
    operators: Any
    shared: bool
    remarks: tuple[str, ...] = ()
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    truth: data.ImageSet | None = None
    image_shape: ImageShape | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Measured({self.describe()}, {self.problem}, y {self.y.shape})"

    def describe(self, total: int | None = None) -> str:
        """Says how many measurements of what these are, and the size of the images."""
        count = total or len(self)
        what = "measurement" if count == 1 else "measurements"
        height, width, _ = self.image_shape or (0, 0, 0)
        size = f", recovered at {height} x {width} pixels" if height else ""
        return f"{count:,} {what} of {self.source}{size}"

    def describe_cuts(self) -> str:
        """Says what was done to the pictures."""
        return "; ".join(self.remarks) or "nothing is cut off"

    def problem_of(self, indices: np.ndarray, truth: Any, **noise: Any) -> Problem:
        """Returns the `Problem` of some images, with fields about the noise."""
        operators = self.operators
        if not self.shared:
            operators = jax.tree.map(lambda x: x[indices], operators)
        # Operators of the library may have no arrays at all.
        shared = self.shared or None
        y = jnp.asarray(self.y[indices])
        return Problem(operators, y, truth, shared=shared, **noise)


# What an inversion starts from: true images, whose measurements it simulates, or
# measurements from files.
Subjects = data.ImageSet | Measured


def ratio_of(operators: Any, image_shape: tuple[int, ...], shared: bool) -> float:
    """Returns the mean number of measurements per number of an image, at most 1.

    Args:
        operators: one for all images, or one for each with a leading axis.
        image_shape: `(height, width, channels)` of one image.
        shared: whether all images share the operator.

    Raises:
        UserError: if an operator measures nothing.
    """

    def count(operator: Any) -> Any:
        return jnp.asarray(operator.num_measurements, jnp.float32)

    counts = count(operators) if shared else jax.vmap(count)(operators)
    mean = float(np.mean(counts)) / float(np.prod(image_shape))
    if not mean > 0:
        raise UserError(
            f"config.measurements: found {mean:g} measurements per number of an image, "
            "expected more than 0"
        )
    return min(1.0, float(f"{mean:.4g}"))
