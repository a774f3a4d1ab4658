"""Every field of a training config, with name, type, default, help and check.

The hyperparameters of the algorithms are in `rtil_jax.training.hyperparameters`, and
checks of several fields together in `training_checks`. Defaults are those of the public
training code; the help says where the paper prints another value.
"""

import dataclasses
from typing import Literal, get_args

from ml_collections import ConfigDict

from rtil_jax import activations, data
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
    """Returns the condition that a tuple holds only integers."""
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
    "Channels of every block, for converted checkpoints; () uses the two fields above."
)
_AS_GENERATOR = "As for the generator."


@dataclasses.dataclass(frozen=True)
class Data:
    """Fields of the training images."""

    source: str = field("avatars", "A folder, a zip, `tfds:NAME`, or `avatars`.")
    split: str = field(
        "train", "Which of train/ and test/ to take, if a folder or zip has both."
    )
    count: int = field(
        0,
        "How many images to take, the first in name order; 0 takes all.",
        at_least(0),
    )
    window: tuple = field(
        (),
        "The values of black and white in pictures with more than 8 bits, such as "
        "(0, 4095) for 12 bits; () is (0, 65535).",
        Condition(data.is_window, data.WINDOW),
    )
    cache_dir: str = field(
        "",
        'Folder of prepared images; "" is $RTIL_JAX_DATA or ~/.cache/rtil_jax.',
    )
    flip: bool = field(True, "Mirror half of the images, chosen at random.")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Fields of the checkpoints."""

    every: int = field(5_000, "Steps from one checkpoint to the next.", at_least(1))
    keep: int = field(2, "How many of the newest to keep.", at_least(1))
    keep_every: int = field(
        0,
        "Also keep those at multiples of this number of steps; 0 keeps none of them.",
        at_least(0),
    )
    rollbacks: int = field(
        0,
        "How often training that diverges may go back to its last checkpoint, and skip "
        "the images read since; 0 stops at once.",
        at_least(0),
    )


@dataclasses.dataclass(frozen=True)
class Sample:
    """Fields of the sample pictures, which have one row per member of the family."""

    every: int = field(1_000, "Steps from one picture to the next.", at_least(1))
    columns: int = field(10, "Number of images in a row.", at_least(1))


@dataclasses.dataclass(frozen=True)
class Log:
    """Fields of the metrics."""

    every: int = field(50, "Steps from one line of metrics to the next.", at_least(1))
    tensorboard: bool = field(
        False,
        "Also write scalars and samples for TensorBoard, to `tensorboard/` in the "
        "run's directory; needs tensorboardX.",
    )


@dataclasses.dataclass(frozen=True)
class StyleGAN2Generator:
    max_channels: int = field(
        256,
        "Most channels of a block, which has min(max_channels, channel_base / r) at "
        "resolution r.",
        at_least(1),
    )
    channel_base: int = field(
        16_384, "Channels of a block times its resolution, unless max_channels is less."
    )
    widths: tuple = field((), _WIDTHS)
    latent_dim: int = field(512, "Size of a latent code z.", at_least(1))
    mapping_layers: int = field(
        8, "Number of dense layers from z to the styles.", at_least(1)
    )
    style_mixing: float = field(
        0.9, "Probability that an image mixes the styles of two z.", FRACTION
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
        "Most channels of a block, which has channel_base / r at resolution r, within "
        "[64, max_channels].",
        at_least(1),
    )
    channel_base: int = field(
        8_192, "Channels of a block times its resolution, within these limits."
    )
    widths: tuple = field((), _WIDTHS)
    latent_dim: int = field(512, "Size of a latent code z.", at_least(1))
    layout: str = field(
        "rtil",
        "Layers of the network: `rtil`, or `official` for the original PGGAN.",
        one_of("rtil", "official"),
    )


@dataclasses.dataclass(frozen=True)
class PGGANDiscriminator:
    max_channels: int = field(256, _AS_GENERATOR, at_least(1))
    channel_base: int = field(8_192, _AS_GENERATOR)
    widths: tuple = field((), _AS_GENERATOR)
    stddev_group: int = field(
        2,
        "Most images that minibatch-stddev compares (the public code compares all). "
        "Each `drawn` member needs a group, so three of them need groups of 2 in a "
        "batch of 6.",
        at_least(2),
    )


@dataclasses.dataclass(frozen=True)
class Family:
    """Fields of the family, which say how its members share the loss."""

    weighting: Literal["paper", "uniform"] = field(
        "uniform",
        "Weights of the members in the loss. `uniform` (the public code): equal. "
        "`paper`: `base_weight` for G, and the rest shared equally.",
        one_of("paper", "uniform"),
    )
    base_weight: float = field(
        0.5,
        "Weight of G for weighting `paper`: lambda of equation (2), 1/2 in the paper.",
        FRACTION,
    )
    members: str = field(
        "drawn",
        "Members of a step. `drawn`: each minibatch-stddev group of images comes from "
        "one member, which costs as much as the mean member. `enumerated` (the public "
        "code): every step evaluates all members. (StyleGAN2's path-length penalty "
        "always draws them.)",
        one_of("drawn", "enumerated"),
    )


@dataclasses.dataclass(frozen=True)
class StyleGAN2Family(Family):
    blocks: tuple[int, ...] = field(
        (1, 2, 3, 4),
        "Blocks whose features are perturbed: member G^k perturbs the first k of them. "
        "() is vanilla training. Block k has 2^(k + 1) pixels: 4, 8, 16 and 32 in the "
        "paper.",
        whole_numbers("(1, 2, 3) or ()"),
    )
    sigma: float = field(1.0, "Standard deviation of the perturbations.", NOT_NEGATIVE)
    sigma_units: SigmaUnits = field(
        "absolute",
        "Units of sigma: `absolute` (the paper), or `features`, the root mean square "
        "of G's features after the block. With `absolute`, a generator can weaken the "
        "perturbation by enlarging its features.",
        one_of(*get_args(SigmaUnits)),
    )


@dataclasses.dataclass(frozen=True)
class PGGANFamily(Family):
    codes: tuple[int, ...] = field(
        (1, 10, 20),
        "How many codes each member mixes; (1,) is vanilla training.",
        CODES,
    )
    block: int = field(
        4,
        "Block after which codes are mixed; while a growing network is too small for "
        "it, the last block. Block k has 2^(k + 1) pixels: 32 in the paper.",
    )


@dataclasses.dataclass(frozen=True)
class Phases:
    """Fields of the phases of growing."""

    resolutions: tuple[int, ...] = field(
        (),
        "Resolution of each phase; () is 4, 8, ..., resolution.",
        whole_numbers("(4, 8, 16), or ()"),
    )
    batch_sizes: tuple[int, ...] = field(
        (),
        "Batch size of each phase; () is training.batch_size for all.",
        whole_numbers("(32, 32, 16), or ()"),
    )
    steps: int = field(
        0,
        "Steps of each phase, except the last, which takes the rest. The newest block "
        "fades in over half of a phase. 0 shares training.steps equally.",
        at_least(0),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class StyleGAN2Training(StyleGAN2Hyperparameters):
    steps: int = field(
        500_000,
        "Number of updates of both networks, as in the paper; the public default is "
        "600,000.",
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
        "Number of updates of both networks, as in the paper; the public default is "
        "500,000.",
        at_least(1),
    )
    batch_size: int = field(6, "Number of images per step, over all devices.")


_ARCHITECTURE = "`stylegan2` or `pggan`; each file of `configs/` is for one of them."


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """The fields of a training run that all architectures share."""

    architecture: str
    seed: int = field(
        0, "Seed of the weights, the order of the images and all random draws.", SEED
    )
    resolution: int = field(
        256,
        "Height and width of the images, a power of two, at least 8.",
        RESOLUTION,
    )
    channels: int = field(3, "1 (grey) or 3 (RGB).", one_of(1, 3))
    precision: str = field(
        "float32",
        "Of activations and convolutions from 16 pixels on: `float32`, or `bfloat16`, "
        "which is meant for GPUs. Weights, losses, their regularisers and the "
        "optimisers are float32 either way, so a run may be continued in the other.",
        activations.KNOWN,
    )
    init_from: str = field(
        "",
        "Training directory or `pretrained:NAME` whose weights to start from; its "
        "family may differ. `pretrained:NAME` has only a generator, so the "
        "discriminator starts anew.",
    )
    data: Data = field(Data, "The training images.")
    discriminator: StyleGAN2Discriminator | PGGANDiscriminator
    generator: StyleGAN2Generator | PGGANGenerator
    family: StyleGAN2Family | PGGANFamily
    training: StyleGAN2Training | PGGANTraining
    checkpoint: Checkpoint = field(Checkpoint, "When the state is saved.")
    sample: Sample = field(
        Sample, "Pictures of samples, with one row per member of the family."
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
        "`progressive`, or `none` to train at full resolution from the first step.",
        one_of("progressive", "none"),
    )
    phases: Phases = field(Phases, "The phases of growing.")


# Architecture -> its run; other architectures can be inverted, but not trained.
RUNS: dict[str, type[StyleGAN2Run] | type[PGGANRun]] = {
    "stylegan2": StyleGAN2Run,
    "pggan": PGGANRun,
}


def stylegan2_config() -> ConfigDict:
    """Returns the config of the paper's RTIL-StyleGAN2, with other data and length."""
    return default_config(StyleGAN2Run())


def pggan_config() -> ConfigDict:
    """Returns the config of the paper's RTIL-PGGAN, with other data and length."""
    return default_config(PGGANRun())
