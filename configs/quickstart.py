r"""Cartoon faces at 32 pixels: train and recover in minutes on two cores.

Variants: `rtil` (default) or `vanilla`; `pggan` (RTIL for mGANprior on a PGGAN instead
of RTIL for ILO on a StyleGAN2); `short` (a fifth of the steps), `tiny` (seconds, for
tests).

    python train.py --config configs/quickstart.py:rtil --workdir runs/avatars/rtil
    python train.py --config configs/quickstart.py:vanilla \
        --workdir runs/avatars/vanilla

The shipped pairs, `pretrained:avatars32_{rtil,vanilla}` and
`pretrained:avatars32_pggan_{rtil,vanilla}`, were trained for 8,000 and 10,000 steps on
four times the images, about an hour per pair; their cards list the commands. Training
both with `short`, then `configs/invert/ilo.py:short`, took 4 min 24 s on two CPU cores
with an empty compilation cache. For mGANprior this took 4 min 22 s:

    python train.py --config configs/quickstart.py:rtil,pggan,short \
        --workdir runs/avatars/pggan_rtil
    python train.py --config configs/quickstart.py:vanilla,pggan,short \
        --workdir runs/avatars/pggan_vanilla
    python invert.py --config configs/invert/mganprior.py:short \
        --config.priors.rtil=runs/avatars/pggan_rtil \
        --config.priors.vanilla=runs/avatars/pggan_vanilla --workdir runs/avatars/mgan

RTIL minus vanilla on 8 test images, in dB: +0.53 +- 0.47, +0.76 +- 0.46 and +1.05 +-
0.47 at 10, 25 and 50 % of measurements.
"""

from rtil_jax.config import parse_variants
from rtil_jax.experiments.training.training_config import pggan_config, stylegan2_config


def get_config(variant=None):
    known = ("rtil", "vanilla", "pggan", "short", "tiny")
    variants = parse_variants(variant, known)
    config = pggan() if "pggan" in variants else stylegan2()
    config.resolution = 32
    config.data.source = "avatars"
    config.data.flip = False  # avatars are not symmetric in what they wear
    config.generator.max_channels = config.discriminator.max_channels = 48
    config.generator.latent_dim = 128
    config.training.batch_size = 16
    config.training.steps = 2_000
    config.training.ema_decay = 0.995
    config.checkpoint.every = 250
    config.sample.every = 250
    config.log.every = 25
    if "short" in variants:
        config.training.steps = 400
        config.training.ema_decay = 0.98  # 0.995 would still average in the start
    if "tiny" in variants:
        config.data.count = 64
        config.generator.max_channels = config.discriminator.max_channels = 8
        config.generator.latent_dim = 16
        config.training.batch_size = 8
        config.training.steps = 20
    if "vanilla" in variants:
        if "pggan" in variants:
            config.family.codes = (1,)
        else:
            config.family.blocks = ()
    return config


def stylegan2():
    config = stylegan2_config()
    config.generator.mapping_layers = 4
    # The paper leaves at least two blocks after the last perturbed one; 32 pixels
    # allow one. (A perturbed last block would be noise on the image itself.)
    config.family.blocks = (1, 2, 3)
    # The paper's 10 penalises a sum over 256 x 256 x 3 numbers; here there are fewer.
    # With 0.2 the discriminator knows all images apart after 250 steps (loss 0.1).
    config.training.r1_weight = 2.0
    return config


def pggan():
    config = pggan_config()
    config.family.block = 2  # 8 pixels; two blocks follow
    return config
