"""What `invert` returns."""

import dataclasses

import numpy as np
from jaxtyping import Array, Float

from rtil_jax.inversion.solutions import Solution


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """What `invert` returns, one entry per image.

    Attributes:
        images: `(batch, height, width, channels)`, nominally in [-1, 1].
        solution: renders to `images`, but for a finish, which changes these alone.
            None for a baseline, which has no generator.
        measurement_loss: ||A(G) - y||^2 / m of each image, or of Poisson noise its
            likelihood: what `inversion.measurement_loss` returns.
        status: `ok`, `stalled` (the measurement loss barely fell) or `failed` (it
            became infinite or nan at any step; the best iterate is returned).
        history: `(stage, step, measurement losses)` every ten steps; empty for a
            baseline. A finish is one more stage, of one step.
    """

    images: Float[Array, "batch height width channels"]
    solution: Solution | None
    measurement_loss: Float[Array, " batch"]
    status: list[str]
    history: list[tuple[int, int, np.ndarray]]

    def __repr__(self) -> str:
        """Of each image its status and measurement loss; no arrays."""
        losses = [f"{loss:.3g}" for loss in np.ravel(self.measurement_loss)]
        each = [" ".join(pair) for pair in zip(self.status, losses, strict=True)]
        more = f", … {len(each) - 8} more" if len(each) > 8 else ""
        return (
            f"Reconstruction(images {self.images.shape}, status and measurement loss: "
            f"{', '.join(each[:8])}{more})"
        )
