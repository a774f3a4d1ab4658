"""Every field of a training config, at the values of the paper."""

from ml_collections import ConfigDict


def _config(architecture: str) -> ConfigDict:
    """What all architectures share."""
    config = ConfigDict()
    # `stylegan2` or `pggan`; a file of `configs/` is made for one of them.
    config.architecture = architecture
    # Of the weights, the order of the images and every draw.
    config.seed = 0
    # Height and width of the images, a power of two, at least 8.
    config.resolution = 256
    # 1 (grey) or 3 (RGB).
    config.channels = 3
    # A training directory whose weights to start from; its family may be another. Or
    # `pretrained:NAME`, a generator alone: the discriminator then starts anew.
    config.init_from = ""

    config.data = data = ConfigDict()
    # A folder, a zip, `tfds:NAME`, or `avatars`.
    data.source = "avatars"
    # Where a folder or zip has such as train/ and test/, this picks one.
    data.split = "train"
    # Only the first images in name order; 0 means all.
    data.count = 0
    # The values that are black and white in pictures of more than 8 bits, such as
    # (0, 4095) for 12 bits; () is (0, 65535).
    data.window = ()
    # Where prepared images are kept; "" is ~/.cache/rtil_jax or $RTIL_JAX_DATA.
    data.cache_dir = ""
    # Horizontal flips, half of the time.
    data.flip = True

    config.family = family = ConfigDict()
    # `uniform`: one share per member, the public code. `paper`: `base_weight` (the
    # lambda of equation (2), 1/2 in the paper) on G, the rest shared.
    family.weighting = "uniform"
    # lambda, the share of G where the weighting is `paper`.
    family.base_weight = 0.5
    # `drawn`: each minibatch-stddev group of images comes from one member, at the
    # cost of the mean member; or `enumerated`: all of them at every step, as in the
    # public code (StyleGAN2's path-length penalty draws them either way).
    family.members = "drawn"

    config.checkpoint = checkpoint = ConfigDict()
    # Steps from one checkpoint to the next.
    checkpoint.every = 5_000
    # How many of the newest stay.
    checkpoint.keep = 2
    # Those at multiples of so many steps stay too; 0 for none.
    checkpoint.keep_every = 0
    # How often, where training diverges, it goes back to its last checkpoint and skips
    # the images that it has read since; 0 stops at once.
    checkpoint.rollbacks = 0
    # Every so many steps a picture: one row per member of the family, `columns` images.
    config.sample = ConfigDict({"every": 1_000, "columns": 10})
    # Steps from one line of metrics to the next.
    config.log = ConfigDict({"every": 50})
    return config


def stylegan2_config() -> ConfigDict:
    """The paper's RTIL-StyleGAN2 run but for data, resolution and length.

    Values are those of the public training code; a comment says where the paper
    prints another.
    """
    config = _config("stylegan2")

    config.generator = generator = ConfigDict()
    # Most channels of a block; at resolution r: min(max_channels, channel_base / r).
    generator.max_channels = 256
    # Channels of a block times its resolution, up to max_channels.
    generator.channel_base = 16_384
    # Channels of every block, in place of these two, as converted checkpoints may need.
    generator.widths = ()
    # Numbers in a latent code z.
    generator.latent_dim = 512
    # Dense layers from z to the styles.
    generator.mapping_layers = 8
    # Probability of two different z per image.
    generator.style_mixing = 0.9

    config.discriminator = discriminator = ConfigDict()
    # As of the generator.
    discriminator.max_channels = 256
    # As of the generator.
    discriminator.channel_base = 16_384
    # As of the generator.
    discriminator.widths = ()

    family = config.family
    # Member G^k perturbs the first k of these; () is vanilla training. Block k has
    # 2^(k + 1) pixels: 4, 8, 16 and 32 in the paper.
    family.blocks = (1, 2, 3, 4)
    # Standard deviation of the perturbations.
    family.sigma = 1.0

    config.training = training = ConfigDict()
    # Updates of both networks.
    training.steps = 500_000  # paper; the public default is 600,000
    # Images of a step.
    training.batch_size = 6  # global, over all devices
    # Of Adam, for both networks.
    training.learning_rate = 0.002
    # Of the R1 penalty.
    training.r1_weight = 10.0
    # Steps from one R1 penalty to the next; 0 for none.
    training.r1_every = 16
    # Of the path-length penalty.
    training.path_weight = 2.0
    # Steps from one path-length penalty to the next; 0 for none.
    training.path_every = 4
    # The path-length penalty sees batch_size / this images (Karras et al. 2020); the
    # public RTIL code reads the same 2 as a number of images, of each member.
    training.path_batch_shrink = 2
    # Per step, of the average of the weights that is the prior.
    training.ema_decay = 0.5 ** (32 / 10_000)
    return config


def pggan_config() -> ConfigDict:
    """The paper's RTIL-PGGAN run but for data, resolution and length; likewise."""
    config = _config("pggan")

    config.generator = generator = ConfigDict()
    # Most channels of a block; at resolution r: channel_base / r, within
    # [64, max_channels].
    generator.max_channels = 256
    # Channels of a block times its resolution, within those limits.
    generator.channel_base = 8_192
    # Channels of every block, in place of these two, as converted checkpoints may need.
    generator.widths = ()
    # Numbers in a latent code z.
    generator.latent_dim = 512
    # `rtil`, or `official` for the network of the original PGGAN.
    generator.layout = "rtil"

    config.discriminator = discriminator = ConfigDict()
    # As of the generator.
    discriminator.max_channels = 256
    # As of the generator.
    discriminator.channel_base = 8_192
    # As of the generator.
    discriminator.widths = ()
    # Images that minibatch-stddev compares, at most (the public code: all). `drawn`
    # members need a group each, so three of them need groups of 2 in a batch of 6.
    discriminator.stddev_group = 2

    family = config.family
    # Member G^k mixes this many codes; (1,) is vanilla training.
    family.codes = (1, 10, 20)
    # Where they are mixed, or at the last block while growing has not reached it.
    # Block k has 2^(k + 1) pixels: 32 in the paper.
    family.block = 4

    # `progressive`, or `none` for full resolution from the first step.
    config.growing = "progressive"
    config.phases = phases = ConfigDict()
    # () is 4, 8, ..., resolution.
    phases.resolutions = ()
    # One per phase; () is training.batch_size for all.
    phases.batch_sizes = ()
    # Steps of each phase but the last, which takes the rest; the newest block fades
    # in over half of them. 0 shares training.steps equally.
    phases.steps = 0

    config.training = training = ConfigDict()
    # Updates of both networks.
    training.steps = 600_000  # paper; the public default is 500,000
    # Images of a step.
    training.batch_size = 6  # global, over all devices
    # Of Adam, for both networks.
    training.learning_rate = 0.001
    # Of the gradient penalty (WGAN-GP).
    training.penalty_weight = 10.0
    # Of the squared scores of real images.
    training.drift = 0.001
    # Per step, of the average of the weights that is the prior.
    training.ema_decay = 0.999
    return config
