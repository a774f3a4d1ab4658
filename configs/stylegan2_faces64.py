r"""Grey faces at 64 pixels, from a folder or zip with `train/` and `test/` in it.

Variants: `rtil` (default) or `vanilla`; `cpu` (32 pixels, 64 channels: about an hour
on one core); `short` (minutes), `tiny` (about a minute).

    python train.py --config configs/stylegan2_faces64.py:rtil,cpu \
        --config.data.source=faces64.zip --workdir runs/faces32/rtil

Measured: `rtil,cpu` and `vanilla,cpu` side by side on two CPU cores, 85 steps a minute
each; 4,500 steps of 32 images look like faces, member 3 of RTIL still rough. Their
reconstructions are measured in `configs/invert/ilo.py`.

At 64 pixels 11,000 steps are `pretrained:faces64_{rtil,vanilla}`, at 41 steps a second
each on an H200 that both shared (the first step takes minutes: XLA tunes its kernels).
Their samples then score like real photographs (`frechet_vgg`), except for member 4.
"""

from rtil_jax.config import parse_variants
from rtil_jax.experiments.training.training_config import stylegan2_config


def get_config(variant=None):
    variants = parse_variants(variant, ("rtil", "vanilla", "cpu", "short", "tiny"))
    config = stylegan2_config()
    config.resolution = 64
    config.channels = 1
    config.data.source = "faces64.zip"
    # 128 channels, 64 at 64 pixels.
    config.generator.max_channels = config.discriminator.max_channels = 128
    config.generator.channel_base = config.discriminator.channel_base = 4_096
    config.generator.latent_dim = 256
    # 4, 8, 16 and 32 pixels, as in the paper; one block follows.
    blocks = (1, 2, 3, 4)
    config.training.batch_size = 32
    config.training.steps = 40_000
    # The paper's 10 penalises a sum over 256 x 256 x 3 numbers; here there are fewer.
    config.training.r1_weight = 0.2
    config.training.ema_decay = 0.998
    config.checkpoint.every = config.sample.every = 1_000
    if variants & {"cpu", "tiny"}:
        config.resolution = 32
        config.generator.max_channels = config.discriminator.max_channels = 64
        config.generator.latent_dim = 128
        config.generator.mapping_layers = 4
        blocks = (1, 2, 3)
        config.training.steps = 4_500
        config.training.r1_weight = 0.1
        config.checkpoint.every = config.sample.every = 250
    if "short" in variants:
        config.training.steps = 200
    if "tiny" in variants:
        config.data.count = 256
        config.generator.max_channels = config.discriminator.max_channels = 8
        config.training.batch_size = 8
        config.training.steps = 20
    config.family.blocks = () if "vanilla" in variants else blocks
    return config
