"""Measures how good a GAN is, with scores that need no download.

    rtil score --prior runs/rtil --images faces.zip

`sliced_wasserstein` compares patches of two sets of images, `frechet` the Gaussians of
their features. `scoring` computes both for every member of a prior's family, and for
two sets of real images, which give the floor that a perfect GAN would reach.
"""

from rtil_jax.experiments.scoring.score_table import score_table
from rtil_jax.experiments.scoring.scoring import score_prior
from rtil_jax.metrics.frechet import FrechetVGG, frechet_distance, load_frechet_vgg
from rtil_jax.metrics.sliced_wasserstein import patch_distance, patches

__all__ = [
    "FrechetVGG",
    "frechet_distance",
    "load_frechet_vgg",
    "patch_distance",
    "patches",
    "score_prior",
    "score_table",
]
