"""Operators by the name of their problem."""

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
# With those that come with measurements alone: nothing samples them.
KINDS: dict[str, type] = OPERATORS | {
    "deblurring": Blur,
    "multi_coil": MultiCoilFourier,
    "own": ForwardOperator,
    "tomography": ParallelBeamCT,
}


def sample_operator(
    problem: Any, key: jax.Array, image_shape: ImageShape, ratio: Any
) -> ImagingOperator:
    """The operator of `problem` for images of `(height, width, channels)`.

    Args:
        problem: a name in `OPERATORS`.
        key: of the draw.
        image_shape: `(height, width, channels)`.
        ratio: of measurements, in (0, 1]; what it is a ratio of, the problem says.

    Raises:
        UserError: for an unknown problem, or a ratio that the problem does not have.
    """
    if not isinstance(problem, str) or problem not in OPERATORS:
        raise UserError(
            f"problem: found {problem!r}, expected {known_problems(problem)}"
        )
    return OPERATORS[problem].sample(key, image_shape, check_ratio(problem, ratio))


def known_problems(problem: object, kinds: Iterable[str] = tuple(OPERATORS)) -> str:
    """`one of ...`, and the one that a name nearly is."""
    known = sorted(kinds)
    return f"one of {', '.join(known)}{did_you_mean(problem, known)}"


def sample_operators(
    problem: Any, keys: jax.Array, image_shape: ImageShape, ratio: Any
) -> ImagingOperator:
    """One operator per key, `(batch,)`: the arrays have a leading batch axis.

    Args:
        problem: a name in `OPERATORS`.
        keys: one per image, `(batch,)`.
        image_shape: `(height, width, channels)`.
        ratio: of measurements, as for `sample_operator`.

    Raises:
        UserError: as `sample_operator`.
    """
    return jax.vmap(lambda key: sample_operator(problem, key, image_shape, ratio))(keys)
