"""How good a GAN is, in numbers that need no download.

    rtil score --prior runs/rtil --images faces.zip

`sliced_wasserstein` compares patches of two sets of images, `frechet` the Gaussians of
their features, and `scoring` does both for every member of a prior's family, beside two
sets of real images: the floor that a perfect GAN would reach.
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
