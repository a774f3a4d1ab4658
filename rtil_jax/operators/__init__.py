"""Forward operators A of the inverse problems y = A(x) (Section 2.1 of the paper).

An operator is a pytree: `jax.vmap` over keys draws one per image, and
`jax.vmap(lambda a, x: a(x))(operators, images)` applies them. One operator may also
serve a whole batch (see `inversion.Problem`). Measurements keep one
shape whatever the ratio; a mask says which entries were measured and the others are 0.
A function that is jitted over a masked operator therefore compiles once for a sweep of
ratios, and masks drawn from one key are nested: more measurements include the fewer.

Images are float32 `(height, width, channels)` in [-1, 1]. An operator that is not
itself batched also takes images and measurements with leading batch axes. The arrays
of an operator are typed `Any` because JAX also rebuilds pytrees of shapes and specs.
"""

from rtil_jax.operators.box_inpainting import BoxInpainting
from rtil_jax.operators.circulant import PartialCirculant
from rtil_jax.operators.colourisation import Colourisation
from rtil_jax.operators.deblurring import GaussianDeblurring, MotionDeblurring
from rtil_jax.operators.denoising import Denoising
from rtil_jax.operators.fourier import Fourier
from rtil_jax.operators.gaussian import Gaussian
from rtil_jax.operators.inpainting import Inpainting
from rtil_jax.operators.interface import (
    ImagingOperator,
    LinearOperator,
    Operator,
    measure,
)
from rtil_jax.operators.phase_retrieval import PhaseRetrieval
from rtil_jax.operators.sampling import OPERATORS, sample_operator, sample_operators
from rtil_jax.operators.super_resolution import SuperResolution

__all__ = [
    "OPERATORS",
    "BoxInpainting",
    "Colourisation",
    "Denoising",
    "Fourier",
    "Gaussian",
    "GaussianDeblurring",
    "ImagingOperator",
    "Inpainting",
    "LinearOperator",
    "MotionDeblurring",
    "Operator",
    "PartialCirculant",
    "PhaseRetrieval",
    "SuperResolution",
    "measure",
    "sample_operator",
    "sample_operators",
]
