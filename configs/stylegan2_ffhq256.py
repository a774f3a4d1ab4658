r"""The paper's StyleGAN2: FFHQ at 256 pixels, 500,000 iterations, batch size 6.

Variants: `rtil` (default) or `vanilla`; `paper_weights` (equation (2) with lambda =
1/2 instead of the public code's uniform weights); `short` (minutes on a GPU), `tiny`
(the same networks' shape at 16 pixels, about a minute).

The data source is a folder or zip of FFHQ images; they are resized to 256 pixels.
Not run to its end here: the paper used two RTX 2080 Ti.

    python train.py --config configs/stylegan2_ffhq256.py:rtil \
        --config.data.source=ffhq.zip --workdir runs/ffhq256/rtil
"""

from rtil_jax.config import parse_variants
from rtil_jax.experiments.training.training_config import stylegan2_config


def get_config(variant=None):
    known = ("rtil", "vanilla", "paper_weights", "short", "tiny")
    variants = parse_variants(variant, known)
    config = stylegan2_config()
    config.data.source = "ffhq"
    if "paper_weights" in variants:
        config.family.weighting = "paper"
    if "short" in variants:
        config.training.steps = 2_000
        config.sample.every = config.checkpoint.every = 500
    if "tiny" in variants:
        config.resolution = 16
        config.generator.max_channels = config.discriminator.max_channels = 8
        config.generator.latent_dim = 16
        config.family.blocks = (1, 2)
        config.training.batch_size = 8
        config.training.steps = 20
    if "vanilla" in variants:
        config.family.blocks = ()
    return config
