"""Image quality of one image, and distances between sets of images."""

from rtil_jax.metrics.images import confidence_interval, psnr, ssim

__all__ = ["confidence_interval", "psnr", "ssim"]
