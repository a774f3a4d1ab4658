"""Forward operators A of the inverse problems y = A(x) (Section 2.1 of the paper).

Make an operator for your own measurements from its arrays, such as `Inpainting(mask)`,
or from a function (`from_function`). Linear operators can be combined as in algebra:
`A @ B`, `A + B`, `A.T` (see `Linear`).

An operator is a pytree. `jax.vmap` over keys draws one per image, and
`jax.vmap(lambda a, x: a(x))(operators, images)` applies them. One operator may also
serve a whole batch (see `inversion.Problem`). Measurements have the same shape for
every ratio: a mask marks the measured entries, and the others are 0. So a function that
is jitted over a masked operator compiles once for a sweep of ratios. Masks from the
same key are nested: a larger ratio includes the measurements of a smaller one.

Images are float32 `(height, width, channels)` in [-1, 1]. An operator without a batch
axis also takes images and measurements with leading batch axes. The arrays of an
operator are typed `Any`, because JAX also builds these pytrees from shapes and specs.
"""

from rtil_jax.operators.algebra import Linear
from rtil_jax.operators.blur import Blur
from rtil_jax.operators.box_inpainting import BoxInpainting
from rtil_jax.operators.circulant import PartialCirculant
from rtil_jax.operators.colourisation import Colourisation
from rtil_jax.operators.deblurring import GaussianDeblurring, MotionDeblurring
from rtil_jax.operators.denoising import Denoising
from rtil_jax.operators.fourier import Fourier
from rtil_jax.operators.fourier_lines import FourierLines
from rtil_jax.operators.function import from_function
from rtil_jax.operators.gaussian import Gaussian
from rtil_jax.operators.inpainting import Inpainting
from rtil_jax.operators.interface import (
    ForwardOperator,
    ImagingOperator,
    LinearOperator,
    Operator,
    measure,
)
from rtil_jax.operators.multi_coil import MultiCoilFourier
from rtil_jax.operators.phase_retrieval import PhaseRetrieval
from rtil_jax.operators.poisson import Poisson
from rtil_jax.operators.sampling import OPERATORS, sample_operator, sample_operators
from rtil_jax.operators.stacking import Stack
from rtil_jax.operators.super_resolution import SuperResolution
from rtil_jax.operators.tomography import ParallelBeamCT

__all__ = [
    "OPERATORS",
    "Blur",
    "BoxInpainting",
    "Colourisation",
    "Denoising",
    "ForwardOperator",
    "Fourier",
    "FourierLines",
    "Gaussian",
    "GaussianDeblurring",
    "ImagingOperator",
    "Inpainting",
    "Linear",
    "LinearOperator",
    "MotionDeblurring",
    "MultiCoilFourier",
    "Operator",
    "ParallelBeamCT",
    "PartialCirculant",
    "PhaseRetrieval",
    "Poisson",
    "Stack",
    "SuperResolution",
    "from_function",
    "measure",
    "sample_operator",
    "sample_operators",
]
