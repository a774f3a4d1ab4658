"""Baselines: methods that recover images without a trained prior, for comparison.

A baseline is a function of one image's measurements (see `interface`):

    image = TotalVariation()(Measured(operator, y, (64, 64, 1)), jax.random.key(0))

`rtil_jax.inversion.invert(TotalVariation(), None, problem, keys)` runs it on a batch.
The Deep Decoder, which fits a network to the measurements, is in `rtil_jax.inversion`.
"""

from rtil_jax.baselines.bicubic import Bicubic
from rtil_jax.baselines.biharmonic import Biharmonic
from rtil_jax.baselines.data_step import back_project
from rtil_jax.baselines.gaussian_field import GaussianField
from rtil_jax.baselines.interface import Baseline, Measured
from rtil_jax.baselines.plug_and_play import PlugAndPlay
from rtil_jax.baselines.total_variation import TotalVariation
from rtil_jax.baselines.wavelet import Wavelet

__all__ = [
    "Baseline",
    "Bicubic",
    "Biharmonic",
    "GaussianField",
    "Measured",
    "PlugAndPlay",
    "TotalVariation",
    "Wavelet",
    "back_project",
]
