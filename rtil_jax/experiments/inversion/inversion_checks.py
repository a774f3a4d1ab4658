"""The checks of an inversion config, before anything runs."""

import difflib
import math
from typing import Any

from ml_collections import ConfigDict

from rtil_jax import data
from rtil_jax.config import require
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inversion_config import METHODS, inversion_config
from rtil_jax.experiments.inversion.settings import DISTANCES, expand
from rtil_jax.experiments.report import PUBLISHED
from rtil_jax.inversion.perceptual_loss import PICTURED
from rtil_jax.inversion.solver import SELECTIONS
from rtil_jax.operators import OPERATORS
from rtil_jax.operators.ratios import ratio_hint

# What all settings of a config share, so that the differences between them are paired.
SHARED = (
    "seed",
    "priors",
    "settings",
    "problem",
    "ratios",
    "ratios_for",
    "perceptual_files",
    "images",
    "batch_size",
    "lpips",
    "figure",
)


def check_inversion_config(config: ConfigDict) -> None:
    """Raises UserError for the first field that cannot be used."""
    if "method" not in config or "priors" not in config:
        raise UserError(
            "--config: found a config without config.priors and config.method, "
            "expected one for invert.py, such as configs/invert/ilo.py"
        )
    name = config.method.get("name")
    require(name in METHODS, "method.name", name, f"one of {', '.join(METHODS)}")
    _check_names(config)
    require(config.lpips in ("alex", "vgg", ""), "lpips", config.lpips, "alex or vgg")
    require(config.batch_size >= 1, "batch_size", config.batch_size, "at least 1")
    seed = config.seed
    require(0 <= seed < 2**32, "seed", seed, "a whole number in [0, 2^32)")
    count = config.images.count
    require(count >= 0, "images.count", count, "at least 1, or 0 for all")
    _check_range(config.images.range)
    window = config.images.window
    require(data.is_window(window), "images.window", window, data.WINDOW)
    name, known = config.figure.published, ", ".join(PUBLISHED)
    expected = f"one of {known}, or '' for none"
    require(name in ("", *PUBLISHED), "figure.published", name, expected)
    if not any(config.priors.values()):
        raise UserError(
            "config.priors: found no directory, expected at least one, e.g. "
            "--config.priors.rtil=DIR with a DIR that train.py has written"
        )
    for label, one in expand(config):
        try:
            _check_values(one)
        except UserError as error:
            if not config.settings:
                raise
            raise UserError(f"config.settings.{label}: {error}") from error


def _check_values(config: ConfigDict) -> None:
    """The values of what `settings` may change, for one problem and rule."""
    select, known = config.select, ", ".join(SELECTIONS)
    require(select in SELECTIONS, "select", select, f"one of {known}")
    require(len(config.ratios) > 0, "ratios", (), "at least one number in (0, 1]")
    for ratio in config.ratios:
        number = type(ratio) in (float, int)
        hint = ratio_hint(config.problem, float(ratio)) if number else ""
        expected = f"numbers in (0, 1]{hint}"
        require(number and 0 < ratio <= 1, "ratios", config.ratios, expected)
    for field, least in (("restarts", 1), ("noise_std", 0)):
        require(config[field] >= least, field, config[field], f"at least {least}")
    _check_perceptual("perceptual", config.perceptual)
    for prior, fields in config.perceptual_for.items():
        _check_perceptual(f"perceptual_for.{prior}", fields)
    distances = {config.perceptual.distance} | {
        fields.get("distance", "") for fields in config.perceptual_for.values()
    }
    if distances != {""}:  # its networks read images in [-1, 1]
        require_symmetric(config, "perceptual.distance")


def require_symmetric(config: ConfigDict, reason: str) -> None:
    """Raises UserError unless targets are in [-1, 1], as `reason` needs them."""
    limits = config.images.range
    expected = f"(-1, 1), because of {reason}"
    require(tuple(limits) == (-1, 1), "images.range", limits, expected)


def _check_range(limits: Any) -> None:
    numbers = isinstance(limits, tuple | list) and len(limits) == 2
    numbers = numbers and all(isinstance(x, int | float) for x in limits)
    fits = numbers and 0 < limits[1] - limits[0] < math.inf
    require(fits, "images.range", limits, "black and white, as (-1, 1) or (0, 1)")


def _check_perceptual(prefix: str, fields: ConfigDict) -> None:
    distance, known = fields.get("distance", ""), ", ".join(DISTANCES)
    fits = distance in ("", *DISTANCES)
    require(fits, f"{prefix}.distance", distance, f"one of {known}, or '' for none")
    for name in ("weights", "from_ratio"):
        for problem, number in fields.get(name, {}).items():
            path, known = f"{prefix}.{name}", ", ".join(PICTURED)
            require(problem in PICTURED, path, problem, f"some of {known}")
            fits = isinstance(number, float | int) and 0 <= number < math.inf
            require(fits, f"{path}.{problem}", number, "a number of at least 0")


def _check_names(config: ConfigDict) -> None:
    """Every field must exist; names of priors, labels and problems must make sense."""
    known = inversion_config(config.method.name)
    _check_fields(config, known, "")
    for label, fields in config.settings.items():
        field = f"settings.{label}"
        require(not set("/\\") & set(label), field, label, "no / in it")
        require(isinstance(fields, ConfigDict), field, fields, "fields")
        for name in SHARED:
            require(name not in fields, f"{field}.{name}", "it", "it outside settings")
        _check_fields(fields, known, f"{field}.")
        named = "name" in fields.get("method", ())
        require(not named, f"{field}.method.name", "it", "one method per config")
        for section in ("method_for", "perceptual_for"):
            one = fields.get(section, ConfigDict())
            _check_priors(one, known, f"{field}.{section}", config.priors)
    for section in ("method_for", "perceptual_for"):
        _check_priors(config[section], known, section, config.priors)
    for problem in config.ratios_for:
        known = ", ".join(OPERATORS)
        require(problem in OPERATORS, "ratios_for", problem, f"some of {known}")


def _check_fields(config: ConfigDict, known: ConfigDict, prefix: str) -> None:
    """Raises UserError for a field that is not in `known`; empty sections are open."""
    for name, value in config.items():
        field = f"{prefix}{name}"
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {prefix}{near[0]}?" if near else ""
            raise UserError(f"config.{field}: there is no such field{hint}")
        section = isinstance(known[name], ConfigDict)
        found, expected = (value, "fields") if section else ("fields", "a value")
        require(isinstance(value, ConfigDict) == section, field, found, expected)
        if section and len(known[name]) and name != "priors":
            _check_fields(value, known[name], f"{field}.")


def _check_priors(
    sections: ConfigDict, known: ConfigDict, path: str, priors: ConfigDict
) -> None:
    """The entries of `method_for` or `perceptual_for`, fields by name of the prior."""
    for prior, fields in sections.items():
        field = f"{path}.{prior}"
        require(prior in priors, field, prior, f"one of {', '.join(priors)}")
        require(isinstance(fields, ConfigDict), field, fields, "fields")
        require("name" not in fields, f"{field}.name", "it", "no such field")
        section = path.rpartition(".")[2].removesuffix("_for")
        _check_fields(fields, known[section], f"{field}.")
