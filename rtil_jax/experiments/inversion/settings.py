"""From the config of a figure to the settings that it compares, one at a time.

A config has one method, or names several under `settings`; and one problem, ratio and
selection rule, or several. `expand` takes it apart.
"""

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import jax
import numpy as np
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from rtil_jax import data
from rtil_jax.config import require
from rtil_jax.errors import UserError
from rtil_jax.inversion.perceptual_loss import PerceptualLoss
from rtil_jax.inversion.problems import Problem, make_problem
from rtil_jax.metrics.perceptual import Perceptual, load_lpips, load_vgg_l1
from rtil_jax.metrics.perceptual.networks import LEAST_SIZE
from rtil_jax.operators import OPERATORS
from rtil_jax.operators.sampling import known_problems
from rtil_jax.priors.prior import Prior

Pixels = TypeVar("Pixels", Array, np.ndarray)
# Distance of the loss -> the network whose weights it needs.
DISTANCES = {"lpips": "vgg", "vgg_l1": "vgg"}


class Setting(NamedTuple):
    """One row of a table, but for the prior.

    Attributes:
        label: what the column `method` of the results says.
        config: the config with the fields of this setting, one problem, its ratios,
            and one selection rule.
    """

    label: str
    config: ConfigDict


def words(text: str) -> list[str]:
    """The parts of a field that may name several things: `a,b` is [a, b]."""
    return [word.strip() for word in text.split(",")]


def labelled(config: ConfigDict) -> dict[str, ConfigDict]:
    """Label -> the config with the fields of that entry of `settings`.

    Without `settings` the only label is the method's name.
    """
    if not config.settings:
        return {config.method.name: config}
    return {
        label: overridden(config, fields) for label, fields in config.settings.items()
    }


def expand(config: ConfigDict) -> Iterator[Setting]:
    """Every label x problem x selection rule; the ratios stay together.

    Raises:
        UserError: if a problem does not exist.
    """
    for label, one in labelled(config).items():
        for problem in words(one.problem):
            require(problem in OPERATORS, "problem", problem, known_problems(problem))
            ratios = one.ratios_for.get(problem, one.ratios)
            for select in words(one.select):
                fields = {"problem": problem, "ratios": ratios, "select": select}
                yield Setting(label, overridden(one, ConfigDict(fields)))


def overridden(config: ConfigDict, fields: ConfigDict) -> ConfigDict:
    """A copy of `config` with some fields changed, sections field by field."""
    changed = config.copy_and_resolve_references().unlock()
    for name, value in fields.items():
        section = isinstance(value, ConfigDict) and name in changed
        changed[name] = overridden(changed[name], value) if section else value
    return changed


def problem_of(
    config: ConfigDict, images: data.ImageSet, indices: np.ndarray, ratio: float
) -> tuple[Problem, jax.Array]:
    """The measurements of some images, and the keys of their inversions.

    Pixels are in `config.images.range`.
    """
    return make_problem(
        config.problem,
        in_range(data.to_float(images[indices]), config.images.range),
        indices,
        ratio=float(ratio),
        seed=config.seed,
        noise_std=config.noise_std,
        value_range=tuple(config.images.range),
    )


def in_range(images: Float[Pixels, "*shape"], limits: tuple) -> Float[Pixels, "*shape"]:
    """Images whose black and white, -1 and 1, become the two `limits`."""
    black, white = limits
    return (black + white) / 2 + (white - black) / 2 * images


def from_range(
    images: Float[Pixels, "*shape"], limits: tuple
) -> Float[Pixels, "*shape"]:
    """The inverse of `in_range`: images in [-1, 1]."""
    black, white = limits
    return (images - (black + white) / 2) / ((white - black) / 2)


def setting_of(label: str, config: ConfigDict, prior: str, ratio: float) -> dict:
    """What the rows of one setting, prior and ratio share."""
    return {
        "prior": prior,
        "method": label,
        "problem": config.problem,
        "ratio": float(ratio),
        "select": config.select,
    }


def perceptual_weight(config: ConfigDict, prior: str, ratio: float) -> float:
    """lambda of the perceptual loss at a ratio of the config's problem; 0 without."""
    fields = overridden(
        config.perceptual, config.perceptual_for.get(prior, ConfigDict())
    )
    if not fields.distance or ratio < fields.from_ratio.get(config.problem, 0):
        return 0.0
    return float(fields.weights.get(config.problem, 0))


def load_distances(config: ConfigDict, priors: dict[str, Prior]) -> dict:
    """Name -> the distance of every perceptual loss that the config asks for.

    Raises:
        UserError: if there are no weights, or the priors' images are too small.
    """
    size = min(min(prior.image_shape[:2]) for prior in priors.values())
    needed = {
        one.perceptual.distance
        for _, one in expand(config)
        for prior in priors
        if any(perceptual_weight(one, prior, ratio) for ratio in one.ratios)
    }
    for name in needed:
        require(
            size >= LEAST_SIZE,
            "perceptual.distance",
            name,
            f"'' for images of {size} pixels (its network needs {LEAST_SIZE})",
        )
    return {name: _load_distance(config, name) for name in sorted(needed)}


def _load_distance(config: ConfigDict, name: str) -> Perceptual:
    path = config.perceptual_files[DISTANCES[name]] or None
    try:
        return load_lpips("vgg", path) if name == "lpips" else load_vgg_l1(path)
    except UserError as error:
        raise UserError(
            f"config.perceptual.distance={name}: {error} "
            f"(--config.perceptual_files.{DISTANCES[name]}=FILE); "
            "--config.perceptual.distance= leaves it out"
        ) from error


def perceptual_loss(
    config: ConfigDict, prior: str, ratio: float, distances: dict[str, Perceptual]
) -> PerceptualLoss | None:
    """The perceptual loss of one setting, prior and ratio; None without."""
    weight = perceptual_weight(config, prior, ratio)
    if not weight:
        return None
    fields = config.perceptual
    return PerceptualLoss(distances[fields.distance], weight, fields.fill)
