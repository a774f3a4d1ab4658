"""Every field of a training config, at the values of the paper.

A field's name, type, default, help and check stand here and, for the numbers of the
algorithms, in `rtil_jax.training.hyperparameters`. What holds for several fields
together is in `training_checks`.

Values are those of the public training code; the help says where the paper prints
another.
"""

import dataclasses
from typing import Literal, get_args

from ml_collections import ConfigDict

from rtil_jax import data
from rtil_jax.experiments.parsing import default_config
from rtil_jax.families import SigmaUnits
from rtil_jax.fields import (
    FRACTION,
    NOT_NEGATIVE,
    Condition,
    at_least,
    field,
    one_of,
)
from rtil_jax.training.hyperparameters import (
    PGGANHyperparameters,
    StyleGAN2Hyperparameters,
)


def is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


def whole_numbers(example: str) -> Condition:
    """The condition that a tuple holds integers only."""
    return Condition(
        lambda values: all(type(value) is int for value in values),
        f"integers, such as {example}",
    )


def _are_codes(values: tuple) -> bool:
    whole = all(type(value) is int for value in values)
    return whole and values[:1] == (1,) and list(values) == sorted(set(values))


SEED = Condition(lambda value: 0 <= value < 2**32, "an integer in [0, 2^32)")
RESOLUTION = Condition(
    lambda value: value >= 8 and is_power_of_two(value), "a power of two, at least 8"
)
CODES = Condition(
    _are_codes, "increasing numbers of codes from 1, such as (1, 10, 20) or (1,)"
)
_WIDTHS = (
    "Channels of every block, in place of these two, as converted checkpoints may need."
)
_AS_GENERATOR = "As of the generator."


@dataclasses.dataclass(frozen=True)
class Data:
    """Which images are trained on."""

    source: str = field("avatars", "A folder, a zip, `tfds:NAME`, or `avatars`.")
    split: str = field(
        "train", "Where a folder or zip has such as train/ and test/, this picks one."
    )
    count: int = field(
        0, "Only the first images in name order; 0 means all.", at_least(0)
    )
    window: tuple = field(
        (),
        "The values that are black and white in pictures of more than 8 bits, such as "
        "(0, 4095) for 12 bits; () is (0, 65535).",
        Condition(data.is_window, data.WINDOW),
    )
    cache_dir: str = field(
        "",
        'Where prepared images are kept; "" is ~/.cache/rtil_jax or $RTIL_JAX_DATA.',
    )
    flip: bool = field(True, "Horizontal flips, half of the time.")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """When the state is saved."""

    every: int = field(5_000, "Steps from one checkpoint to the next.", at_least(1))
    keep: int = field(2, "How many of the newest stay.", at_least(1))
    keep_every: int = field(
        0, "Those at multiples of so many steps stay too; 0 for none.", at_least(0)
    )
    rollbacks: int = field(
        0,
        "How often, where training diverges, it goes back to its last checkpoint and "
        "skips the images that it has read since; 0 stops at once.",
        at_least(0),
    )


@dataclasses.dataclass(frozen=True)
class Sample:
    """When pictures are drawn: one row per member of the family."""

    every: int = field(1_000, "Steps from one picture to the next.", at_least(1))
    columns: int = field(10, "Images in a row of it.", at_least(1))


@dataclasses.dataclass(frozen=True)
class Log:
    """When metrics are written."""

    every: int = field(50, "Steps from one line of metrics to the next.", at_least(1))
    tensorboard: bool = field(
        False,
        "Writes scalars and samples for TensorBoard too, to `tensorboard/` in the "
        "run's directory; needs tensorboardX.",
    )


@dataclasses.dataclass(frozen=True)
class StyleGAN2Generator:
    max_channels: int = field(
        256,
        "Most channels of a block; at resolution r: min(max_channels, channel_base / "
        "r).",
        at_least(1),
    )
    channel_base: int = field(
        16_384, "Channels of a block times its resolution, up to max_channels."
    )
    widths: tuple = field((), _WIDTHS)
    latent_dim: int = field(512, "Numbers in a latent code z.", at_least(1))
    mapping_layers: int = field(8, "Dense layers from z to the styles.", at_least(1))
    style_mixing: float = field(
        0.9, "Probability of two different z per image.", FRACTION
    )


@dataclasses.dataclass(frozen=True)
class StyleGAN2Discriminator:
    max_channels: int = field(256, _AS_GENERATOR, at_least(1))
    channel_base: int = field(16_384, _AS_GENERATOR)
    widths: tuple = field((), _AS_GENERATOR)


@dataclasses.dataclass(frozen=True)
class PGGANGenerator:
    max_channels: int = field(
        256,
        "Most channels of a block; at resolution r: channel_base / r, within [64, "
        "max_channels].",
        at_least(1),
    )
    channel_base: int = field(
        8_192, "Channels of a block times its resolution, within those limits."
    )
    widths: tuple = field((), _WIDTHS)
    latent_dim: int = field(512, "Numbers in a latent code z.", at_least(1))
    layout: str = field(
        "rtil",
        "`rtil`, or `official` for the network of the original PGGAN.",
        one_of("rtil", "official"),
    )


@dataclasses.dataclass(frozen=True)
class PGGANDiscriminator:
    max_channels: int = field(256, _AS_GENERATOR, at_least(1))
    channel_base: int = field(8_192, _AS_GENERATOR)
    widths: tuple = field((), _AS_GENERATOR)
    stddev_group: int = field(
        2,
        "Images that minibatch-stddev compares, at most (the public code: all). "
        "`drawn` members need a group each, so three of them need groups of 2 in a "
        "batch of 6.",
        at_least(2),
    )


@dataclasses.dataclass(frozen=True)
class Family:
    """How the members of a family share the loss."""

    weighting: Literal["paper", "uniform"] = field(
        "uniform",
        "`uniform`: one share per member, the public code. `paper`: `base_weight` (the "
        "lambda of equation (2), 1/2 in the paper) on G, the rest shared.",
        one_of("paper", "uniform"),
    )
    base_weight: float = field(
        0.5, "lambda, the share of G where the weighting is `paper`.", FRACTION
    )
    members: str = field(
        "drawn",
        "`drawn`: each minibatch-stddev group of images comes from one member, at the "
        "cost of the mean member; or `enumerated`: all of them at every step, as in "
        "the public code (StyleGAN2's path-length penalty draws them either way).",
        one_of("drawn", "enumerated"),
    )


@dataclasses.dataclass(frozen=True)
class StyleGAN2Family(Family):
    blocks: tuple[int, ...] = field(
        (1, 2, 3, 4),
        "Member G^k perturbs the first k of these; () is vanilla training. Block k has "
        "2^(k + 1) pixels: 4, 8, 16 and 32 in the paper.",
        whole_numbers("(1, 2, 3) or ()"),
    )
    sigma: float = field(1.0, "Standard deviation of the perturbations.", NOT_NEGATIVE)
    sigma_units: SigmaUnits = field(
        "absolute",
        "Of sigma: `absolute` (the paper), or `features`, the root mean square of G's "
        "features at the block, which no generator can escape by enlarging them.",
        one_of(*get_args(SigmaUnits)),
    )


@dataclasses.dataclass(frozen=True)
class PGGANFamily(Family):
    codes: tuple[int, ...] = field(
        (1, 10, 20),
        "Member G^k mixes this many codes; (1,) is vanilla training.",
        CODES,
    )
    block: int = field(
        4,
        "Where they are mixed, or at the last block while growing has not reached it. "
        "Block k has 2^(k + 1) pixels: 32 in the paper.",
    )


@dataclasses.dataclass(frozen=True)
class Phases:
    """The phases of growing."""

    resolutions: tuple[int, ...] = field(
        (), "() is 4, 8, ..., resolution.", whole_numbers("(4, 8, 16), or ()")
    )
    batch_sizes: tuple[int, ...] = field(
        (),
        "One per phase; () is training.batch_size for all.",
        whole_numbers("(32, 32, 16), or ()"),
    )
    steps: int = field(
        0,
        "Steps of each phase but the last, which takes the rest; the newest block "
        "fades in over half of them. 0 shares training.steps equally.",
        at_least(0),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class StyleGAN2Training(StyleGAN2Hyperparameters):
    steps: int = field(
        500_000,
        "Updates of both networks. The paper's; the public default is 600,000.",
        at_least(1),
    )
    reference_batch: int = field(
        0,
        "The batch size that r1_weight and ema_decay are stated for. Another "
        "batch_size then has r1_weight * reference_batch / batch_size and ema_decay ** "
        "(batch_size / reference_batch): NVIDIA's rule for R1, and the same average "
        "per image. The learning rate stays, as NVIDIA's does. 0: they are taken as "
        "they are.",
        at_least(0),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PGGANTraining(PGGANHyperparameters):
    steps: int = field(
        600_000,
        "Updates of both networks. The paper's; the public default is 500,000.",
        at_least(1),
    )
    batch_size: int = field(6, "Images of a step, over all devices.")


_ARCHITECTURE = "`stylegan2` or `pggan`; a file of `configs/` is made for one of them."


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """A training run: what all architectures share."""

    architecture: str
    seed: int = field(
        0, "Of the weights, the order of the images and every draw.", SEED
    )
    resolution: int = field(
        256,
        "Height and width of the images, a power of two, at least 8.",
        RESOLUTION,
    )
    channels: int = field(3, "1 (grey) or 3 (RGB).", one_of(1, 3))
    init_from: str = field(
        "",
        "A training directory whose weights to start from; its family may be another. "
        "Or `pretrained:NAME`, a generator alone: the discriminator then starts anew.",
    )
    data: Data = field(Data, "The images.")
    discriminator: StyleGAN2Discriminator | PGGANDiscriminator
    generator: StyleGAN2Generator | PGGANGenerator
    family: StyleGAN2Family | PGGANFamily
    training: StyleGAN2Training | PGGANTraining
    checkpoint: Checkpoint = field(Checkpoint, "What is saved.")
    sample: Sample = field(
        Sample, "Pictures: one row per member of the family, `columns` images."
    )
    log: Log = field(Log, "Metrics.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StyleGAN2Run(TrainingRun):
    """A training run of RTIL-StyleGAN2."""

    architecture: str = field("stylegan2", _ARCHITECTURE, one_of("stylegan2"))
    discriminator: StyleGAN2Discriminator = field(StyleGAN2Discriminator, "")
    generator: StyleGAN2Generator = field(StyleGAN2Generator, "")
    family: StyleGAN2Family = field(StyleGAN2Family, "The members that are trained.")
    training: StyleGAN2Training = field(StyleGAN2Training, "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PGGANRun(TrainingRun):
    """A training run of RTIL-PGGAN."""

    architecture: str = field("pggan", _ARCHITECTURE, one_of("pggan"))
    discriminator: PGGANDiscriminator = field(PGGANDiscriminator, "")
    generator: PGGANGenerator = field(PGGANGenerator, "")
    family: PGGANFamily = field(PGGANFamily, "The members that are trained.")
    training: PGGANTraining = field(PGGANTraining, "")
    growing: str = field(
        "progressive",
        "`progressive`, or `none` for full resolution from the first step.",
        one_of("progressive", "none"),
    )
    phases: Phases = field(Phases, "Of growing.")


# Architecture -> its run; others can be inverted, but have no recipe.
RUNS: dict[str, type[StyleGAN2Run] | type[PGGANRun]] = {
    "stylegan2": StyleGAN2Run,
    "pggan": PGGANRun,
}


def stylegan2_config() -> ConfigDict:
    """The paper's RTIL-StyleGAN2 run but for data, resolution and length."""
    return default_config(StyleGAN2Run())


def pggan_config() -> ConfigDict:
    """The paper's RTIL-PGGAN run but for data, resolution and length."""
    return default_config(PGGANRun())
