"""Finds, among the images that explain y, the one whose transform has the least norm.

    min over x in [-1, 1] of ||W x||  such that  ||A x - y|| <= noise_std sqrt(m),

where m is the number of measurements. No weight has to be chosen: the noise decides how
closely x explains y (Morozov's discrepancy principle); without noise A x = y.
PyProximal solves it by a first-order primal-dual algorithm (Chambolle and Pock 2011).
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from rtil_jax.baselines.interface import Measured
from rtil_jax.baselines.linear import adjoint, as_vector, forward, norm_bound
from rtil_jax.baselines.packages import package

PACKAGES = ("pylops", "pyproximal")
# Ratio of the primal to the dual step, for pixels in [-1, 1] and maps of norm 1.
STEP_RATIO = 0.2
# Smallest radius as a share of ||y||, because PyProximal would divide by 0.
EXACT = 1e-6


def sparsest(
    who: str, measured: Measured, transform: Any, norm: Any, iterations: int
) -> Float[np.ndarray | Array, "height width channels"]:
    """Returns the solution after some iterations.

    Args:
        who: the name of the method in errors.
        measured: the operator A, y and the noise.
        transform: W, a PyLops operator with a norm of at most 1.
        norm: the norm of W x, a PyProximal operator.
        iterations: number of iterations.
    """
    pylops, pyproximal = (package(who, name) for name in PACKAGES)
    y = np.asarray(as_vector(measured.y))
    scale = max(float(norm_bound(measured)), 1e-30)
    operator = pylops.FunctionOperator(
        lambda x: np.asarray(forward(measured, x.astype(np.float32))) / scale,
        lambda r: np.asarray(adjoint(measured, r.astype(np.float32))) / scale,
        y.size,
        math.prod(measured.image_shape),
        dtype=np.float32,
    )
    count = float(measured.operator.num_measurements)
    radius = float(measured.noise_std) * math.sqrt(count)
    radius = max(radius, EXACT * float(np.linalg.norm(y)), 1e-30)
    ball = pyproximal.EuclideanBall(y / scale, radius / scale)
    sizes = [y.size, transform.shape[0]]
    # The two maps together have a norm of at most sqrt(2).
    x = pyproximal.optimization.primaldual.PrimalDual(
        pyproximal.Box(-1.0, 1.0),
        pyproximal.VStack([ball, norm], nn=sizes),
        pylops.VStack([operator, transform], dtype=np.float32),
        x0=np.zeros(operator.shape[1], np.float32),
        tau=STEP_RATIO / math.sqrt(2),
        mu=1 / (STEP_RATIO * math.sqrt(2)),
        niter=iterations,
    )
    return x.reshape(measured.image_shape).astype(np.float32)
