"""Image quality of one image or ensemble, and distances between sets of images."""

from rtil_jax.metrics.ensembles import coverage, crps
from rtil_jax.metrics.images import confidence_interval, psnr, ssim

__all__ = ["confidence_interval", "coverage", "crps", "psnr", "ssim"]
