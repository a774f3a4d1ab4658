"""The result of `invert`: images, status, losses, and how to save them."""

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
    """The result of `invert` for a batch of images. Printing it shows a line per image.

    Attributes:
        images: `(batch, height, width, channels)`, nominally in [-1, 1].
        solution: the generator's inputs, from which `render` draws the images as they
            are before a finish. None for a baseline, which has no generator.
        measurement_loss: `(batch,)`, the result of `inversion.measurement_loss`:
            ||A(G) - y||^2 / m, or the likelihood of Poisson noise.
        status: for each image `ok`, `stalled` (the measurement loss barely fell) or
            `failed` (the loss became infinite or NaN; the best iterate is returned).
        history: `(stage, step, measurement losses)` every ten steps; empty for a
            baseline. A finish counts as one more stage of one step.
        problem: the problem that was solved.
        is_finished: whether a finish changed the images.
        spread: with several restarts, the standard deviation of each pixel over them,
            before any finish. Where it is large, the measurements determine little.
            None with a single start.
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
        """Returns ||A(x) - y||^2 / m of each image x, also with Poisson noise."""
        if self.problem is None or self.problem.noise is None:
            return self.measurement_loss
        squared = dataclasses.replace(self.problem, noise=None)
        return measurement_loss(squared, self.images)

    @property
    def residual(self) -> Float[Array, " batch"]:
        """Returns ||A(x) - y|| / sqrt(m) of each image x, in the units of y.

        An image that explains y up to its noise has the noise's standard deviation.
        """
        return jnp.sqrt(self.squared_error)

    def lines(self) -> list[str]:
        """Returns one line per image, such as `image 0: ok, residual 0.0312`."""
        pairs = zip(self.status, np.ravel(self.residual), strict=True)
        return [
            f"image {index}: {status}, residual {residual:.3g}"
            for index, (status, residual) in enumerate(pairs)
        ]

    def __repr__(self) -> str:
        """Shows a line for each of the first 100 images, and no arrays."""
        lines = self.lines()
        more = [f"… {len(lines) - LINES} more"] if len(lines) > LINES else []
        return "\n".join(lines[:LINES] + more)

    def save(self, directory: Any) -> None:
        """Writes `recovered/00000.png` and `solutions/00000.npz` of each image.

        `load_solution` reads the solution of a prior back. For a baseline or after a
        finish, the file holds the pixels as `fact:pixels`. With several restarts it
        holds their spread as `fact:spread`.

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
            files: maps the index of an image in this batch to (path of the PNG, path
                of the .npz, facts about the image). The .npz also holds the history of
                its losses, and its pixels if no solution renders to them.
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
        """Writes a page `report.html` that shows y, x, A(x) and the residual of each
        image, and returns its path.

        The page needs no other file.

        Raises:
            UserError: if the directory cannot be written.
        """
        import rtil_jax  # which knows where a page is made of it

        return rtil_jax.report(self, directory)
