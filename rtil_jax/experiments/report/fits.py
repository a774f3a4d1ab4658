"""How well images that were recovered from files explain what was measured."""

import glob
import os
import zipfile
from collections.abc import Sequence

import numpy as np

from rtil_jax.experiments.report.rows import Row
from rtil_jax.experiments.report.tables import Table

KEY = ("image", "prior", "method", "problem", "ratio", "select")
# The residual of the true image is the noise's variance, give or take.
ABOVE, BELOW = 1.5, 0.5
# Of ||y||^2 / m: what a fit may leave.
UNEXPLAINED = 0.1
RULE = (
    "residual is ||A(x) - y||² / m of the recovered x, noise the variance of the noise "
    "that was stated, and left the residual's share of ||y||² / m. A fit is consistent "
    f"if its residual is {BELOW:g} to {ABOVE:g} times the noise. Status `off_prior`: "
    "the prior cannot explain the measurements, as the residual is above both "
    f"{ABOVE:g} times the noise and {UNEXPLAINED:.0%} of ||y||² / m. "
    "Spread is the standard deviation of the images of all `restarts`, in [-1, 1], the "
    "mean over pixels: where it is large, the measurements say little. The true images "
    "are not known here unless there is a PSNR."
)


def is_off_prior(
    residual: float | int, noise: float | int, mean_square: float | int
) -> bool:
    """Whether a fit leaves more than the noise and more than `UNEXPLAINED`."""
    return residual > max(ABOVE * noise, UNEXPLAINED * mean_square)


def reading_of(residual: float | int, noise: float | int) -> str:
    """Whether a residual is what the noise would leave, in words."""
    if not noise:
        return "no noise stated"
    if residual > ABOVE * noise:
        return "above the noise"
    return "consistent" if residual >= BELOW * noise else "below the noise: overfitted"


def fit_tables(rows: Sequence[Row], workdir: str) -> list[Table]:
    """One table, with a line for each image that was recovered from files; or none."""
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
    """Key -> noise, ||y||^2 / m, and the mean spread, of solutions that know them."""
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
            continue  # the curves of convergence say so
    return found
