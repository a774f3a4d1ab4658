"""Every field of an inversion config, and the checks before anything runs."""

import dataclasses
import difflib
import math

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
    # A name in `rtil_jax.operators.OPERATORS`.
    config.problem = "compressed_sensing"
    # Fraction of measurements or of observed pixels, or 1 / factor; for each problem
    # see `rtil_jax/operators/ratios.py`.
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
    # The network of LPIPS in the results, `alex` (the usual one) or `vgg`; "" for none.
    config.lpips = "alex"
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
    require(config.lpips in ("alex", "vgg", ""), "lpips", config.lpips, "alex or vgg")
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
    own = config.method_for.get(prior, ConfigDict()).to_dict()
    fields = config.method.to_dict() | own
    method = METHODS[fields.pop("name")]
    defaults = {field.name: field.default for field in dataclasses.fields(method)}
    for name, value in fields.items():
        path = f"method_for.{prior}.{name}" if name in own else f"method.{name}"
        check_method_field(path, value, defaults[name])
    return method(**fields)


def check_method_field(path: str, value, default) -> None:
    """Raises UserError if `value` cannot stand for `default`, a method's argument."""
    name = path.rpartition(".")[2]
    if isinstance(default, str):
        known = WORDS[name]
        return require(value in known, path, value, f"one of {', '.join(known)}")
    if isinstance(default, bool):
        return require(isinstance(value, bool), path, value, "True or False")
    several = isinstance(default, tuple)
    numbers = tuple(value) if several and isinstance(value, tuple | list) else (value,)
    fits = isinstance(value, tuple | list) == several
    whole = isinstance(default, int) or name == "steps"
    kinds = (int,) if whole else (int, float)
    fits = fits and all(type(n) in kinds and 0 <= n < math.inf for n in numbers)
    expected = {
        (True, True): "a tuple of whole numbers from 0",
        (True, False): "a tuple of numbers of at least 0",
        (False, True): "a whole number from 0",
        (False, False): "a number of at least 0",
    }
    require(fits, path, value, expected[several, whole])
    if name.endswith("radii") or name == "prior_sigma":
        require(min(numbers, default=1) > 0, path, value, "above 0")
