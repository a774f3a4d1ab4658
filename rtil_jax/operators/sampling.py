"""Draws operators by the name of a problem."""

from collections.abc import Iterable
from typing import Any

import jax

from rtil_jax.errors import UserError, did_you_mean
from rtil_jax.operators.blur import Blur
from rtil_jax.operators.box_inpainting import BoxInpainting
from rtil_jax.operators.circulant import PartialCirculant
from rtil_jax.operators.colourisation import Colourisation
from rtil_jax.operators.deblurring import GaussianDeblurring, MotionDeblurring
from rtil_jax.operators.denoising import Denoising
from rtil_jax.operators.fourier_lines import FourierLines
from rtil_jax.operators.gaussian import Gaussian
from rtil_jax.operators.inpainting import Inpainting
from rtil_jax.operators.interface import ForwardOperator, ImageShape, ImagingOperator
from rtil_jax.operators.multi_coil import MultiCoilFourier
from rtil_jax.operators.phase_retrieval import PhaseRetrieval
from rtil_jax.operators.ratios import check_ratio
from rtil_jax.operators.super_resolution import SuperResolution
from rtil_jax.operators.tomography import ParallelBeamCT

OPERATORS: dict[str, type[ImagingOperator]] = {
    "box_inpainting": BoxInpainting,
    "colourisation": Colourisation,
    "compressed_sensing": PartialCirculant,
    "denoising": Denoising,
    "fourier": FourierLines,
    "gaussian": Gaussian,
    "gaussian_deblurring": GaussianDeblurring,
    "inpainting": Inpainting,
    "motion_deblurring": MotionDeblurring,
    "phase_retrieval": PhaseRetrieval,
    "super_resolution": SuperResolution,
}
# All operators, including those for measurements from files, which are not drawn.
KINDS: dict[str, type] = OPERATORS | {
    "deblurring": Blur,
    "multi_coil": MultiCoilFourier,
    "own": ForwardOperator,
    "tomography": ParallelBeamCT,
}


def sample_operator(
    problem: Any, key: jax.Array, image_shape: ImageShape, ratio: Any
) -> ImagingOperator:
    """Draws an operator of a problem.

    Args:
        problem: a name in `OPERATORS`, such as `inpainting`.
        key: the PRNG key of the draw.
        image_shape: `(height, width, channels)` of the images.
        ratio: how much is measured, in (0, 1]; its meaning depends on the problem (see
            `RATIO_LABELS` of `operators.ratios`).

    Raises:
        UserError: if the problem is unknown, or cannot have this ratio.
    """
    if not isinstance(problem, str) or problem not in OPERATORS:
        raise UserError(
            f"problem: found {problem!r}, expected {known_problems(problem)}"
        )
    return OPERATORS[problem].sample(key, image_shape, check_ratio(problem, ratio))


def known_problems(problem: object, kinds: Iterable[str] = tuple(OPERATORS)) -> str:
    """Returns `one of ...` with all names, and a suggestion for a misspelt one."""
    known = sorted(kinds)
    return f"one of {', '.join(known)}{did_you_mean(problem, known)}"


def sample_operators(
    problem: Any, keys: jax.Array, image_shape: ImageShape, ratio: Any
) -> ImagingOperator:
    """Draws one operator per key; their arrays have a leading batch axis.

    Args:
        problem: a name in `OPERATORS`, such as `inpainting`.
        keys: `(batch,)`, one PRNG key per image.
        image_shape: `(height, width, channels)` of the images.
        ratio: how much is measured, as for `sample_operator`.

    Raises:
        UserError: as `sample_operator`.
    """
    return jax.vmap(lambda key: sample_operator(problem, key, image_shape, ratio))(keys)
