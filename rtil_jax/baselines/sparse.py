"""The image of the least norm of some transform, among those that explain y.

    min over x in [-1, 1] of ||W x||  such that  ||A x - y|| <= noise_std sqrt(m),

m the number of measurements. So no weight has to be chosen: the noise says how near y
is to be (Morozov's discrepancy principle), and without noise A x = y. Solved by the
first-order primal-dual algorithm (Chambolle and Pock 2011) of PyProximal.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from rtil_jax.baselines.interface import Measured
from rtil_jax.baselines.linear import adjoint, as_vector, forward, norm_bound
from rtil_jax.baselines.packages import package

PACKAGES = ("pylops", "pyproximal")
# The primal step beside the dual one, for pixels in [-1, 1] and maps of norm 1.
STEP_RATIO = 0.2
# No radius of 0, by which PyProximal would divide: a part of ||y||.
EXACT = 1e-6


def sparsest(
    who: str, measured: Measured, transform: Any, norm: Any, iterations: int
) -> Float[np.ndarray | Array, "height width channels"]:
    """The solution after some iterations.

    Args:
        who: what to call the method in errors.
        measured: what is known of the image.
        transform: W, a PyLops operator of norm 1 at most.
        norm: of W x, a PyProximal operator.
        iterations: how many.
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
    # The norm of both maps together is at most sqrt(2).
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
