"""Metrics: quality of images and ensembles, and distances between sets of images."""

from rtil_jax.metrics.ensembles import coverage, crps
from rtil_jax.metrics.images import confidence_interval, psnr, ssim

__all__ = ["confidence_interval", "coverage", "crps", "psnr", "ssim"]
