"""Shows how well images recovered from files explain their measurements."""

import glob
import os
import zipfile
from collections.abc import Sequence

import numpy as np

from rtil_jax.experiments.report.rows import Row
from rtil_jax.experiments.report.tables import Table

KEY = ("image", "prior", "method", "problem", "ratio", "select")
# The residual of the true image is about the variance of the noise.
ABOVE, BELOW = 1.5, 0.5
# Share of ||y||^2 / m that a fit may leave unexplained.
UNEXPLAINED = 0.1
RULE = (
    "The residual is ||A(x) - y||² / m of the recovered x, the noise is the stated "
    "variance, and left is the residual as a share of ||y||² / m. A fit is consistent "
    f"if its residual is {BELOW:g} to {ABOVE:g} times the noise. The status "
    "`off_prior` means that the prior cannot explain the measurements: the residual is "
    f"above {ABOVE:g} times the noise and above {UNEXPLAINED:.0%} of ||y||² / m. The "
    "spread is the standard deviation over all `restarts`, for images in [-1, 1], "
    "averaged over pixels; where it is large, the measurements determine little. The "
    "true images are not known unless the table has a PSNR."
)


def is_off_prior(
    residual: float | int, noise: float | int, mean_square: float | int
) -> bool:
    """Tells whether a fit leaves more than the noise and more than `UNEXPLAINED`.

    Args:
        residual: ||A(x) - y||^2 / m of the recovered x.
        noise: the variance of the noise, at least 0.
        mean_square: ||y||^2 / m.
    """
    return residual > max(ABOVE * noise, UNEXPLAINED * mean_square)


def reading_of(residual: float | int, noise: float | int) -> str:
    """Compares a residual with the noise, in words."""
    if not noise:
        return "no noise stated"
    if residual > ABOVE * noise:
        return "above the noise"
    return "consistent" if residual >= BELOW * noise else "below the noise: overfitted"


def fit_tables(rows: Sequence[Row], workdir: str) -> list[Table]:
    """Returns a table with a line per image recovered from files, or no table."""
    fits = _read_fits(workdir)
    body = []
    for row in rows:
        found = fits.get(tuple(row[name] for name in KEY))
        if found is None:
            continue
        noise, mean_square, spread = found
        residual = row["measurement_mse"]
        body.append(
            [
                row["image"],
                row["prior"],
                row["method"],
                row["select"],
                f"{residual:.3g}",
                f"{noise:.3g}" if noise else "–",
                f"{100 * residual / mean_square:.2f} %" if mean_square else "n/a",
                reading_of(residual, noise),
                f"{spread:.3g}" if spread is not None else "–",
                row["status"],
            ]
        )
    header = ["image", "prior", "method", "select", "residual", "noise", "left"]
    header += ["fit", "spread", "status"]
    return [Table("", header, body)] if body else []


def _read_fits(workdir: str) -> dict[tuple, tuple[float, float, float | None]]:
    """Reads {key: (noise, ||y||^2 / m, mean spread)} of solutions that have them."""
    found = {}
    for path in sorted(
        glob.glob(os.path.join(glob.escape(workdir), "solutions/*.npz"))
    ):
        try:
            with np.load(path, allow_pickle=False) as file:
                if "fact:mean_square" not in file.files:
                    continue
                key = tuple(file[f"fact:{name}"].item() for name in KEY)
                noise, square = (
                    float(file[f"fact:{n}"]) for n in ("noise_mse", "mean_square")
                )
                spread = None
                if "fact:spread" in file.files:
                    spread = float(file["fact:spread"].mean())
                found[key] = noise, square, spread
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            continue  # `read_histories` warns of it
    return found
