r"""The paper's PGGAN: FFHQ at 256 pixels, 600,000 iterations, grown from 4 pixels.

Variants: `rtil` (default) or `vanilla`; `paper_weights` (equation (2) with lambda =
1/2 instead of the public code's uniform weights); `short` (minutes on a GPU), `tiny`
(the same networks' shape at 16 pixels, about a minute).

The data source is a folder or zip of FFHQ images; they are resized to 256 pixels, and
averaged down from there while growing. Not run to its end here.

    python train.py --config configs/pggan_ffhq256.py:rtil \
        --config.data.source=ffhq.zip --workdir runs/ffhq256/pggan_rtil
"""

from rtil_jax.config import parse_variants
from rtil_jax.experiments.training.training_config import pggan_config


def get_config(variant=None):
    known = ("rtil", "vanilla", "paper_weights", "short", "tiny")
    variants = parse_variants(variant, known)
    config = pggan_config()
    config.data.source = "ffhq"
    config.phases.batch_sizes = (32, 32, 32, 16, 8, 6, 6)
    if "paper_weights" in variants:
        config.family.weighting = "paper"
    if "short" in variants:
        config.training.steps = 7_000
        config.sample.every = config.checkpoint.every = 500
    if "tiny" in variants:
        config.resolution = 16
        config.generator.max_channels = config.discriminator.max_channels = 8
        config.generator.latent_dim = 16
        config.family.codes = (1, 2, 4)
        config.family.block = 2
        config.phases.batch_sizes = (12, 12, 6)
        config.training.steps = 21
    if "vanilla" in variants:
        config.family.codes = (1,)
    return config
