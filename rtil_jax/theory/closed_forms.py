"""Section 5 of the paper in closed form, in float64.

Signals are x = W*_1 (W*_0 z_0 + z_1) with z_0 ~ N(0, I) and z_1 ~ N(0, I). A model is
G~(z_0, z_1) = W_1 (W*_0 z_0 + z_1): W*_0 is known, and W_1 is trained by least squares
on infinitely many signals. Matrices are shaped as in the paper: W_0 `(n_1, n_0)`, W_1
`(n_d, n_1)` and A `(m, n_d)`. Arrays of signals and codes have one per row.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

Matrix = Float[np.ndarray, "_ _"]
# Singular values below this fraction of the largest count as zero. In float64, those of
# the rank-deficient W_van are about 1e-16.
RANK_TOLERANCE = 1e-10


@dataclasses.dataclass(frozen=True)
class Truth:
    """The distribution of signals (Section 5.1), with n_0 < n_1 < n_d and full rank.

    Attributes:
        w0: W*_0, `(n_1, n_0)`.
        w1: W*_1, `(n_d, n_1)`.
    """

    w0: Matrix
    w1: Matrix


def draw_truth(rng: np.random.Generator, n0: int, n1: int, nd: int) -> Truth:
    """Draws Gaussian weights, scaled so that the entries of W*_0 z_0 have variance 1.

    Args:
        rng: NumPy's random generator.
        n0: number of entries of z_0.
        n1: number of entries of z_1.
        nd: number of entries of x.
    """
    w0 = rng.standard_normal((n1, n0)) / np.sqrt(n0)
    return Truth(w0, rng.standard_normal((nd, n1)) / np.sqrt(n1))


def draw_signals(rng: np.random.Generator, truth: Truth, count: int) -> Matrix:
    """Draws signals x = W*_1 (W*_0 z_0 + z_1), `(count, n_d)`.

    Args:
        rng: NumPy's random generator.
        truth: W*_0, `(n_1, n_0)`, and W*_1, `(n_d, n_1)`.
        count: number of signals.
    """
    z0 = rng.standard_normal((count, truth.w0.shape[1]))
    z1 = rng.standard_normal((count, truth.w0.shape[0]))
    return (z0 @ truth.w0.T + z1) @ truth.w1.T


def trained_weights(truth: Truth) -> dict[str, Matrix]:
    """Returns W_1 after vanilla and RTIL training, by Lemmas 5.1 and A.1.

    `vanilla` is W*_1 W*_0 (W*_0)^+, the minimiser of (6) with the least Frobenius norm.
    `rtil` is W*_1, the only minimiser of (7).
    """
    return {
        "vanilla": truth.w1 @ truth.w0 @ _pseudoinverse(truth.w0),
        "rtil": truth.w1,
    }


def recover(
    w0: Matrix, w1: Matrix, matrix: Matrix, y: Matrix, z1_start: Matrix
) -> Matrix:
    """Inverts y = A x by ILO, equation (5), and returns the estimates G~(z^_0, z^_1).

    z^_0 minimises ||y - A W_1 W_0 z_0||, which is unique from n_0 measurements. Then
    z^_1 minimises ||y - A W_1 (W_0 z^_0 + z_1)||. If there are many minimisers, it is
    the one nearest to `z1_start`, which gradient descent also finds.

    Args:
        w0, w1: W_0 and W_1 of the model.
        matrix: A, `(m, n_d)` with m >= n_0.
        y: measurements, `(batch, m)`.
        z1_start: the start of the search for z_1, `(batch, n_1)`.

    Returns:
        The estimates of x, `(batch, n_d)`.
    """
    z0 = y @ _pseudoinverse(matrix @ w1 @ w0).T
    features = z0 @ w0.T + z1_start
    residual = y - features @ (matrix @ w1).T
    return (features + residual @ _pseudoinverse(matrix @ w1).T) @ w1.T


def expected_error(truth: Truth, w1: Matrix, matrix: Matrix) -> float:
    """Returns E ||x - G~(z^_0, z^_1)||^2 of `recover` for one A, in closed form.

    The expectation is over z*_0, z*_1 and a start z_1 ~ N(0, I). The error is linear
    in them, so it is a sum of squared Frobenius norms: with S = W*_1 [W*_0, I],
    B_0 = (A W_1 W*_0)^+ and Q = I - W_1 (A W_1)^+ A,

        ||Q (I - W_1 W*_0 B_0 A) S||_F^2 + ||Q W_1||_F^2.

    For the vanilla weights this is the ||W*_1 - W*_1 W*_0 M_1||_F^2 of the proof of
    Lemma 5.2; for RTIL's and m >= n_1 it is 0, equation (9).

    Args:
        truth: W*_0, `(n_1, n_0)`, and W*_1, `(n_d, n_1)`.
        w1: W_1, `(n_d, n_1)`.
        matrix: A, `(m, n_d)`.
    """
    signals = np.hstack([truth.w1 @ truth.w0, truth.w1])
    base = w1 @ truth.w0
    missed = signals - base @ _pseudoinverse(matrix @ base) @ matrix @ signals
    left = _unexplained(w1, matrix, missed), _unexplained(w1, matrix, w1)
    return float(sum(np.sum(x**2) for x in left))


def error_bound(truth: Truth) -> float:
    """Returns the right-hand side of (8), a lower bound of vanilla errors for any A.

    It is max ||(I - P) W*_1 h||^2 over h with ||h|| = 1 (which the paper omits) that
    are orthogonal to the range of W*_0. P projects onto the range of W*_1 W*_0.
    """
    complement = np.linalg.qr(truth.w0, mode="complete")[0][:, truth.w0.shape[1] :]
    return float(np.linalg.norm(_off_range(truth) @ complement, 2) ** 2)


def sharper_bound(truth: Truth) -> float:
    """Returns ||(I - P) W*_1||_F^2, the step before (8) in the proof of Lemma 5.2.

    It is the expected error of the best estimate in the range of the base model, such
    as that of CSGM if all of x is measured.
    """
    return float(np.sum(_off_range(truth) ** 2))


def _off_range(truth: Truth) -> Matrix:
    """Returns (I - P) W*_1."""
    basis, _ = np.linalg.qr(truth.w1 @ truth.w0)
    return truth.w1 - basis @ (basis.T @ truth.w1)


def _unexplained(w1: Matrix, matrix: Matrix, errors: Matrix) -> Matrix:
    """Returns Q errors, which remain after the second minimisation of (5)."""
    return errors - w1 @ (_pseudoinverse(matrix @ w1) @ (matrix @ errors))


def _pseudoinverse(x: Matrix) -> Matrix:
    return np.linalg.pinv(x, rcond=RANK_TOLERANCE)
