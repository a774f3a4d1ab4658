"""Perceptual distances: LPIPS (Zhang et al. 2018) and Gu et al.'s VGG regulariser."""

from rtil_jax.metrics.perceptual.distances import LPIPS, VGGL1, Perceptual
from rtil_jax.metrics.perceptual.weights import load_lpips, load_vgg_l1

__all__ = ["LPIPS", "VGGL1", "Perceptual", "load_lpips", "load_vgg_l1"]
