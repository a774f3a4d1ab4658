r"""PGGAN on grey faces at 64 pixels, from a folder or zip with `train/` and `test/`.

Variants: `rtil` (default) or `vanilla`; `cpu` (32 pixels, 64 channels); `short`
(minutes), `tiny` (about a minute).

    python train.py --config configs/pggan_faces64.py:rtil,cpu \
        --config.data.source=faces64.zip --workdir runs/faces32/pggan_rtil

Measured: `rtil,cpu` and `vanilla,cpu` side by side on two CPU cores, 7,000 steps of 16
images in 39 and 35 minutes (100 steps a minute each at 32 pixels, many more before);
both look like faces, RTIL's single codes blurred, its mixtures rough. Their
reconstructions are measured in `configs/invert/mganprior.py`. With
`--config.phases.steps=600` this config trained
`pretrained:faces32_pggan_{rtil,vanilla}`.

At 64 pixels 8,000 steps with `--config.phases.steps=1000` are
`pretrained:faces64_pggan_{rtil,vanilla}`, still rough, at 20 steps a second each beside
two other runs on an H200.
"""

from rtil_jax.config import parse_variants
from rtil_jax.experiments.training.training_config import pggan_config


def get_config(variant=None):
    variants = parse_variants(variant, ("rtil", "vanilla", "cpu", "short", "tiny"))
    config = pggan_config()
    config.resolution = 64
    config.channels = 1
    config.data.source = "faces64.zip"
    # 128 channels, 64 at 64 pixels.
    config.generator.max_channels = config.discriminator.max_channels = 128
    config.generator.channel_base = config.discriminator.channel_base = 4_096
    config.generator.latent_dim = 256
    # 16 pixels: as in the paper, at least two blocks follow.
    config.family.block = 3
    config.discriminator.stddev_group = 4
    config.training.batch_size = 32
    config.training.steps = 60_000
    config.checkpoint.every = config.sample.every = 1_000
    if variants & {"cpu", "tiny"}:
        config.resolution = 32
        config.generator.max_channels = config.discriminator.max_channels = 64
        config.generator.latent_dim = 128
        config.family.block = 2  # 8 pixels
        config.training.batch_size = 16
        config.training.steps = 7_000
        config.phases.steps = 1_200
        config.checkpoint.every = config.sample.every = 200
    if "short" in variants:
        config.training.steps = 200
        config.phases.steps = 0
    if "tiny" in variants:
        config.data.count = 256
        config.generator.max_channels = config.discriminator.max_channels = 8
        config.family.codes = (1, 2, 4)
        config.training.batch_size = 12
        config.training.steps = 20
        config.phases.steps = 0
    if "vanilla" in variants:
        config.family.codes = (1,)
    return config
