"""Compares reconstructions with the true images."""

import jax
import numpy as np
from jaxtyping import Array

from rtil_jax import metrics
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inversion_run import InversionRun
from rtil_jax.inversion.reconstruction import Reconstruction
from rtil_jax.metrics.perceptual import Perceptual, load_lpips
from rtil_jax.metrics.perceptual.networks import LEAST_SIZE

MIN_SSIM_SIZE = 11


def load_metric(run: InversionRun) -> Perceptual | None:
    """Loads LPIPS as a metric; returns None and prints why if it has no weights."""
    if not run.lpips:
        return None
    try:
        return load_lpips(run.lpips, getattr(run.perceptual_files, run.lpips) or None)
    except UserError as error:
        print(f"LPIPS is left out: {error}")
        return None


def evaluate(
    found: Reconstruction, truth: Array | np.ndarray | None, lpips: Perceptual | None
) -> list[dict]:
    """Returns PSNR, SSIM and LPIPS of each image, clipped to the range of images.

    They are NaN if the truth is not known.

    Args:
        found: what was recovered.
        truth: the true images, `(batch, height, width, channels)` in [-1, 1], or None.
        lpips: the network of LPIPS, or None.
    """
    count = len(found.status)
    quality: dict[str, Array | np.ndarray]
    quality = {"measurement_mse": found.measurement_loss}
    if truth is None:
        quality |= {n: np.full(count, np.nan) for n in ("psnr", "ssim", "lpips")}
    else:
        quality |= _compared(found, truth, lpips)
    return [
        {name: float(values[i]) for name, values in quality.items()}
        | {"status": found.status[i]}
        for i in range(count)
    ]


def _compared(
    found: Reconstruction, truth: Array | np.ndarray, lpips: Perceptual | None
) -> dict[str, Array | np.ndarray]:
    count = len(found.status)
    clipped = [np.clip(images, -1, 1) for images in (found.images, truth)]
    x, y = ((images + 1) / 2 for images in clipped)
    size, left_out = min(x.shape[1:3]), np.full(count, np.nan)
    quality = {
        "psnr": metrics.psnr(x, y),
        "ssim": metrics.ssim(x, y) if size >= MIN_SSIM_SIZE else left_out,
        "lpips": left_out,
    }
    if lpips and size >= LEAST_SIZE:
        quality["lpips"] = _distance(lpips, *clipped)
    return quality


_distance = jax.jit(lambda lpips, x, y: lpips(x, y))
