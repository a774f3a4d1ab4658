"""Every field of an inversion config, and the checks before anything runs."""

import dataclasses
import difflib

from ml_collections import ConfigDict

from rtil_jax.config import require
from rtil_jax.errors import UserError
from rtil_jax.inversion.constraints import PRIOR_FORMS
from rtil_jax.inversion.csgm import CSGM
from rtil_jax.inversion.ilo import ILO
from rtil_jax.inversion.inverting import Method
from rtil_jax.inversion.mganprior import STARTS, MGANPrior
from rtil_jax.inversion.solver import OPTIMIZERS, SELECTIONS
from rtil_jax.inversion.surgery import Surgery
from rtil_jax.operators import OPERATORS

METHODS = {"csgm": CSGM, "ilo": ILO, "mganprior": MGANPrior, "surgery": Surgery}
# Fields of methods that are words.
WORDS = {
    "optimizer": tuple(OPTIMIZERS),
    "start_weights": STARTS,
    "prior_form": PRIOR_FORMS,
}


def inversion_config(method: str) -> ConfigDict:
    """The fields of every inversion, with the published settings of `method`."""
    config = ConfigDict()
    config.seed = 0
    # Name -> training directory. "" leaves a prior out; any other name can be added
    # on the command line with --config.priors.NAME=DIR.
    config.priors = ConfigDict({"rtil": "", "vanilla": ""})
    # The method's name and the arguments of its class in rtil_jax.inversion.
    config.method = ConfigDict({"name": method})
    for field in dataclasses.fields(METHODS[method]):
        config.method[field.name] = field.default
    # Prior's name -> fields of `method` that are other for this prior.
    config.method_for = ConfigDict()
    # compressed_sensing, inpainting or super_resolution.
    config.problem = "compressed_sensing"
    # Fraction of measurements or of observed pixels, or 1 / factor.
    config.ratios = (0.1,)
    # Standard deviation of Gaussian noise on y, in the units of y.
    config.noise_std = 0.0

    config.images = images = ConfigDict()
    # A folder, a zip, `tfds:NAME`, or `avatars`.
    images.source = "avatars"
    images.split = "test"
    # The first images in name order; 0 means all.
    images.count = 32
    # Where prepared images are kept; "" is ~/.cache/rtil_jax or $RTIL_JAX_DATA.
    images.cache_dir = ""

    # Images per batch, over all devices.
    config.batch_size = 32
    # `measurement` (lowest measurement loss), `last`, or `oracle` (closest to the true
    # image: an upper bound, and what the public demo reports).
    config.select = "measurement"
    # Independent starts per image, of which the lowest measurement loss is kept.
    config.restarts = 1
    return config


def check_inversion_config(config: ConfigDict) -> None:
    """Raises UserError for the first field that cannot be used."""
    name = config.get("method", ConfigDict()).get("name")
    require(name in METHODS, "method.name", name, f"one of {', '.join(METHODS)}")
    _check_names(config, inversion_config(name))
    require(
        config.problem in OPERATORS,
        "problem",
        config.problem,
        f"one of {', '.join(OPERATORS)}",
    )
    select, known = config.select, ", ".join(SELECTIONS)
    require(select in SELECTIONS, "select", select, f"one of {known}")
    require(len(config.ratios) > 0, "ratios", (), "at least one number in (0, 1]")
    for ratio in config.ratios:
        number = isinstance(ratio, float | int)
        require(number and 0 < ratio <= 1, "ratios", config.ratios, "numbers in (0, 1]")
    for field, least in (("batch_size", 1), ("restarts", 1), ("noise_std", 0)):
        require(config[field] >= least, field, config[field], f"at least {least}")
    seed = config.seed
    require(0 <= seed < 2**32, "seed", seed, "a whole number in [0, 2^32)")
    count = config.images.count
    require(count >= 0, "images.count", count, "at least 1, or 0 for all")
    if not any(config.priors.values()):
        raise UserError(
            "config.priors: found no directory, expected at least one, e.g. "
            "--config.priors.rtil=DIR with a DIR that train.py has written"
        )


def _check_names(config: ConfigDict, known: ConfigDict, prefix: str = "") -> None:
    """Only `priors` and `method_for` may have fields of any name."""
    for name, value in config.items():
        field = f"{prefix}{name}"
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {prefix}{near[0]}?" if near else ""
            raise UserError(f"config.{field}: there is no such field{hint}")
        if name == "method_for":
            for prior, fields in value.items():
                field = f"method_for.{prior}"
                priors = ", ".join(config.priors)
                require(prior in config.priors, field, prior, f"one of {priors}")
                require(isinstance(fields, ConfigDict), field, fields, "fields")
                require("name" not in fields, f"{field}.name", "it", "no such field")
                _check_names(fields, known.method, f"{field}.")
        elif name != "priors" and isinstance(known[name], ConfigDict):
            _check_names(value, known[name], f"{field}.")


def build_method(config: ConfigDict, prior: str) -> Method:
    """The method that the config describes for the prior of that name.

    Raises:
        UserError: if a field's value is not one that the method can have.
    """
    fields = (
        config.method.to_dict() | config.method_for.get(prior, ConfigDict()).to_dict()
    )
    method = METHODS[fields.pop("name")]
    for name, value in fields.items():
        check_method_field(name, value)
    return method(**fields)


def check_method_field(name: str, value) -> None:
    """Raises UserError if `value` cannot be an argument `name` of a method."""
    if known := WORDS.get(name):
        expected = f"one of {', '.join(known)}"
        return require(value in known, f"method.{name}", value, expected)
    numbers = value if isinstance(value, tuple) else (value,)
    numeric = all(isinstance(n, float | int) for n in numbers)
    require(numeric, f"method.{name}", value, "a number, or a tuple of numbers")
    if name in ("steps", "codes", "block", "codes_at_once"):
        whole = all(isinstance(n, int) and n >= 0 for n in numbers)
        require(whole, f"method.{name}", value, "whole numbers from 0")
    elif name.endswith("radii") or name == "prior_sigma":
        require(min(numbers, default=1) > 0, f"method.{name}", value, "above 0")
    else:
        require(min(numbers, default=0) >= 0, f"method.{name}", value, "at least 0")
