"""What `invert` returns."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rtil_jax.data.pictures import save_picture
from rtil_jax.errors import UserError
from rtil_jax.files import local_path
from rtil_jax.inversion.problems import Problem, measurement_loss
from rtil_jax.inversion.solutions import Solution, save_solution

LINES = 100  # of images, when a reconstruction is printed


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """What `invert` returns, one entry per image. Printed, it is a line per image.

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
        problem: what was recovered from.
        is_finished: whether a finish changed the images.
        spread: of several starts, the standard deviation of each pixel over them, as
            they were before any finish: where it is large, the measurements say
            little. None of one start.
    """

    images: Float[Array, "batch height width channels"]
    solution: Solution | None
    measurement_loss: Float[Array, " batch"]
    status: list[str]
    history: list[tuple[int, int, np.ndarray]]
    problem: Problem | None = None
    is_finished: bool = False
    spread: Float[np.ndarray, "batch height width channels"] | None = None

    @property
    def squared_error(self) -> Float[Array, " batch"]:
        """||A(x) - y||^2 / m of each image x, of Poisson noise as well."""
        if self.problem is None or self.problem.noise is None:
            return self.measurement_loss
        squared = dataclasses.replace(self.problem, noise=None)
        return measurement_loss(squared, self.images)

    @property
    def residual(self) -> Float[Array, " batch"]:
        """||A(x) - y|| / sqrt(m) of each image x, in the units of y.

        Where y is explained up to its noise, it is the noise's standard deviation.
        """
        return jnp.sqrt(self.squared_error)

    def lines(self) -> list[str]:
        """One line per image: `image 0: ok, residual 0.0312`."""
        pairs = zip(self.status, np.ravel(self.residual), strict=True)
        return [
            f"image {index}: {status}, residual {residual:.3g}"
            for index, (status, residual) in enumerate(pairs)
        ]

    def __repr__(self) -> str:
        """A line per image, of at most 100; no arrays."""
        lines = self.lines()
        more = [f"… {len(lines) - LINES} more"] if len(lines) > LINES else []
        return "\n".join(lines[:LINES] + more)

    def save(self, directory: Any) -> None:
        """Writes `recovered/00000.png` and `solutions/00000.npz` of each image.

        `load_solution` reads a solution of a prior again. Where no solution renders to
        the image (of a baseline, or after a finish), its pixels are `fact:pixels`.
        The spread of several starts is `fact:spread`.

        Raises:
            UserError: if the directory cannot be written.
        """
        path = local_path(directory, "save")
        residuals, files = np.ravel(self.residual), {}
        for index, status in enumerate(self.status):
            picture = os.path.join(path, "recovered", f"{index:05d}.png")
            solution = os.path.join(path, "solutions", f"{index:05d}.npz")
            facts = {"status": status, "residual": float(residuals[index])}
            if self.spread is not None:
                facts["spread"] = self.spread[index]
            files[index] = picture, solution, {"index": index} | facts
        try:
            for name in ("recovered", "solutions"):
                os.makedirs(os.path.join(path, name), exist_ok=True)
            self.save_images(files)
        except OSError as error:
            raise UserError(
                f"save: {path} cannot be written ({error.strerror})"
            ) from error

    def save_images(self, files: Mapping[int, tuple[str, str, dict]]) -> None:
        """Writes pictures and solutions of some images.

        Args:
            files: index in this batch -> paths of the PNG and of the .npz, and facts
                about the image. The history of its losses is one more, and its pixels
                where no solution renders to them.
        """
        pixels, solution = jax.device_get((self.images, self.solution))
        for at, (picture, path, facts) in files.items():
            save_picture(picture, pixels[at])
            one = jax.tree.map(lambda x, at=at: x[at : at + 1], solution)
            losses = [(stage, step, loss[at]) for stage, step, loss in self.history]
            arrays = {"history": np.array(losses, np.float32)} if losses else {}
            if solution is None or self.is_finished:
                arrays["pixels"] = pixels[at]
            save_solution(path, one, **facts, **arrays)

    def report(self, directory: Any) -> str:
        """Writes `report.html`: y, x, A(x) and the residual of each image.

        Returns its path. It needs no other file.

        Raises:
            UserError: if the directory cannot be written.
        """
        import rtil_jax  # which knows where a page is made of it

        return rtil_jax.report(self, directory)
