"""Finishes: what is done to images after the last stage of a method.

What a generator cannot represent, no method in its range recovers, however much is
measured. `project` takes what is measured from y and the rest from the image; `denoise`
takes turns of plug-and-play from the image on. The image is then no longer in the range
of the generator: the solution stays what it was.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rtil_jax.baselines.data_step import back_project
from rtil_jax.baselines.denoisers import DENOISERS
from rtil_jax.baselines.interface import Measured
from rtil_jax.baselines.packages import require_packages
from rtil_jax.baselines.plug_and_play import PlugAndPlay
from rtil_jax.errors import UserError
from rtil_jax.inversion.problems import Problem, over_images
from rtil_jax.inversion.without_prior import measured_images, require_linear

Images = Float[Array, "batch height width channels"]
KNOWN = "project, denoise or denoise:bm3d, or '' for none"
# The noise that a denoiser is told at first: what is left to a GAN is small.
FIRST_SIGMA = 0.05


def find_finish(path: str, finish: Any, noise_std: float) -> Any:
    """ "project", the plug-and-play method that a name stands for, or None for "".

    Raises:
        UserError: for another name, or `project` with noise.
    """
    if finish in ("", None) or isinstance(finish, PlugAndPlay):
        return finish or None
    name, _, denoiser = str(finish).partition(":")
    if name == "denoise" and (not denoiser or denoiser in DENOISERS):
        chosen = {"denoiser": denoiser} if denoiser else {}
        return PlugAndPlay(**chosen, first_sigma=FIRST_SIGMA)
    if finish != "project":
        raise UserError(f"{path}: found {finish!r}, expected {KNOWN}")
    if noise_std:
        raise UserError(
            f"{path}: found 'project' with noise of {noise_std:g} on y, expected no "
            "noise, which it would put into the image; 'denoise' allows for it"
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
    """The images after a finish; those that it makes infinite stay as they were.

    Args:
        finish: as `find_finish` returns it, not None.
        problem: settled.
        images: of which each has its measurements.
        noise_std: of the noise on y.

    Raises:
        UserError: if the operator is not linear, or a package is missing.
    """
    check_finish(finish)
    height, width, channels = images.shape[1:]
    each = list(measured_images(problem, (height, width, channels), noise_std))
    require_linear("finish", each[0])
    if finish == "project":
        found = _projected(problem, images)
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
