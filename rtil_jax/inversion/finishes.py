"""Finishes: they change the recovered images after the last stage of a method.

A method that searches the range of a generator cannot recover what the generator cannot
represent, however much is measured. `project` keeps the image only where nothing is
measured, and takes the measured part from y. `average` takes the mean with what a
Gaussian field (`baselines.gaussian_field`) makes of the same y: both images explain y,
and their errors differ, so the mean has smaller ones. `denoise` continues from the
image with plug-and-play iterations. After a finish, the image is no longer in the range
of the generator, and the saved solution still describes the image before it.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rtil_jax.baselines.data_step import back_project
from rtil_jax.baselines.denoisers import DENOISERS
from rtil_jax.baselines.gaussian_field import GaussianField
from rtil_jax.baselines.interface import Measured
from rtil_jax.baselines.packages import require_packages
from rtil_jax.baselines.plug_and_play import PlugAndPlay
from rtil_jax.errors import UserError
from rtil_jax.inversion.problems import Problem, over_images
from rtil_jax.inversion.without_prior import measured_images, require_linear

Images = Float[Array, "batch height width channels"]
KNOWN = "project, average, denoise or denoise:bm3d, or '' for none"
# The noise level at which the denoiser starts: after a GAN prior little error is left.
FIRST_SIGMA = 0.05


def find_finish(path: str, finish: Any, noise_std: float) -> Any:
    """Turns the name of a finish into what `finished` takes.

    Returns "project", the method that `average` takes the mean with, a plug-and-play
    method, or None for no finish.

    Args:
        path: the name of the field that an error message mentions.
        finish: `project`, `average`, `denoise`, `denoise:NAME`, a `PlugAndPlay`, "" or
            None.
        noise_std: standard deviation of the noise on y, at least 0.

    Raises:
        UserError: if the name is unknown, or for `project` with noise.
    """
    if finish in ("", None) or isinstance(finish, PlugAndPlay):
        return finish or None
    if finish == "average":
        return GaussianField()
    name, _, denoiser = str(finish).partition(":")
    if name == "denoise" and (not denoiser or denoiser in DENOISERS):
        chosen = {"denoiser": denoiser} if denoiser else {}
        return PlugAndPlay(**chosen, first_sigma=FIRST_SIGMA)
    if finish != "project":
        raise UserError(f"{path}: found {finish!r}, expected {KNOWN}")
    if noise_std:
        raise UserError(
            f"{path}: found 'project' with noise of {noise_std:g} on y, expected no "
            "noise, because 'project' copies it into the image; use 'average' or "
            "'denoise' instead"
        )
    return finish


def check_finish(finish: Any) -> None:
    """Raises UserError if a package that the finish needs is missing."""
    if isinstance(finish, PlugAndPlay):
        require_packages("finish", [DENOISERS[finish.denoiser].module])


def finished(
    finish: Any,
    problem: Problem,
    images: Images,
    noise_std: float,
) -> Images:
    """Returns the images after a finish.

    An image that the finish would make infinite stays as it was.

    Args:
        finish: from `find_finish`, not None.
        problem: the measurements, as `settle` returns them.
        images: `(batch, height, width, channels)` in [-1, 1].
        noise_std: standard deviation of the noise on y, at least 0.

    Raises:
        UserError: if the operator is not linear, or a package is missing.
    """
    check_finish(finish)
    height, width, channels = images.shape[1:]
    each = list(measured_images(problem, (height, width, channels), noise_std))
    require_linear("finish", each[0])
    if finish == "project":
        found = _projected(problem, images)
    elif isinstance(finish, GaussianField):
        others = jnp.stack([finish(measured) for measured in each])
        found = (jnp.clip(images, -1, 1) + jnp.clip(others, -1, 1)) / 2
    else:
        refined = map(finish.refine, each, images)
        found = jnp.stack([jnp.asarray(x, jnp.float32) for x in refined])
    finite = jnp.isfinite(found).all(axis=(1, 2, 3), keepdims=True)
    return jnp.where(jnp.broadcast_to(finite, found.shape), found, images)


@jax.jit
def _projected(problem: Problem, images: Images) -> Images:
    def one_image(operator: Any, y: Array, image: Array) -> Array:
        height, width, channels = image.shape
        return back_project(Measured(operator, y, (height, width, channels)), image)

    return over_images(one_image, problem, problem.measurements, images)
