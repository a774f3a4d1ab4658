"""Every field of a StyleGAN2 training config, at the values of the paper."""

from ml_collections import ConfigDict


def stylegan2_config() -> ConfigDict:
    """The paper's RTIL-StyleGAN2 run but for data, resolution and length.

    Values are those of the public training code; a comment says where the paper
    prints another.
    """
    config = ConfigDict()
    config.seed = 0
    # Height and width of the images, a power of two, at least 8.
    config.resolution = 256
    # 1 (grey) or 3 (RGB).
    config.channels = 3
    # A training directory whose weights to start from; its family may be another.
    config.init_from = ""

    config.data = data = ConfigDict()
    # A folder, a zip, `tfds:NAME`, or `avatars`.
    data.source = "avatars"
    # Where a folder or zip has train/ and test/, this picks one.
    data.split = "train"
    # Only the first images in name order; 0 means all.
    data.count = 0
    # Where prepared images are kept; "" is ~/.cache/rtil_jax or $RTIL_JAX_DATA.
    data.cache_dir = ""
    # Horizontal flips, half of the time.
    data.flip = True

    config.generator = generator = ConfigDict()
    # Width at resolution r: min(max_channels, channel_base / r).
    generator.max_channels = 256
    generator.channel_base = 16_384
    generator.latent_dim = 512
    generator.mapping_layers = 8
    # Probability of two different z per image.
    generator.style_mixing = 0.9

    config.discriminator = discriminator = ConfigDict()
    discriminator.max_channels = 256
    discriminator.channel_base = 16_384

    config.family = family = ConfigDict()
    # Member G^k perturbs the first k of these; () is vanilla training. Block k has
    # 2^(k + 1) pixels: 4, 8, 16 and 32 in the paper.
    family.blocks = (1, 2, 3, 4)
    # Standard deviation of the perturbations.
    family.sigma = 1.0
    # `uniform`: one share per member, the public code. `paper`: `base_weight` (the
    # lambda of equation (2), 1/2 in the paper) on G, the rest shared.
    family.weighting = "uniform"
    family.base_weight = 0.5
    # `drawn` per minibatch-stddev group (the cost of vanilla training), or
    # `enumerated` (all of them at every step, the public code).
    family.members = "drawn"

    config.training = training = ConfigDict()
    training.steps = 500_000  # paper; the public default is 600,000
    training.batch_size = 6  # global, over all devices
    training.learning_rate = 0.002
    training.r1_weight = 10.0
    training.r1_every = 16
    training.path_weight = 2.0
    training.path_every = 4
    # The path-length penalty sees batch_size / this images (Karras et al. 2020); the
    # public RTIL code reads the same 2 as a number of images, of each member.
    training.path_batch_shrink = 2
    training.ema_decay = 0.5 ** (32 / 10_000)

    config.checkpoint = ConfigDict({"every": 5_000, "keep": 2})
    # One row per member of the family, `columns` images each.
    config.sample = ConfigDict({"every": 1_000, "columns": 10})
    config.log = ConfigDict({"every": 50})
    return config
