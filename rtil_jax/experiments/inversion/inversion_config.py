"""The config of an inversion, from which the files of configs/invert/ start."""

import inspect
import re

from ml_collections import ConfigDict

from rtil_jax.arguments import published
from rtil_jax.baselines import (
    Bicubic,
    Biharmonic,
    GaussianField,
    PlugAndPlay,
    TotalVariation,
    Wavelet,
)
from rtil_jax.experiments.inversion.inversion_fields import InversionFields
from rtil_jax.experiments.parsing import default_config, help_texts
from rtil_jax.inversion.csgm import CSGM
from rtil_jax.inversion.deep_decoder import DeepDecoder
from rtil_jax.inversion.ilo import ILO
from rtil_jax.inversion.mganprior import MGANPrior
from rtil_jax.inversion.surgery import Surgery

METHODS: dict[str, type] = {
    "csgm": CSGM,
    "ilo": ILO,
    "mganprior": MGANPrior,
    "surgery": Surgery,
    # These need no prior.
    "bicubic": Bicubic,
    "biharmonic": Biharmonic,
    "deep_decoder": DeepDecoder,
    "gaussian_field": GaussianField,
    "plug_and_play": PlugAndPlay,
    "total_variation": TotalVariation,
    "wavelet": Wavelet,
}
# The prior's name in the results of methods without a prior.
NO_PRIOR = "none"


def inversion_config(method: str) -> ConfigDict:
    """Returns a config with all fields, and the published settings of `method`.

    `rtil_jax/experiments/inversion/inversion_fields.py` describes the fields.
    """
    fields = InversionFields(
        priors={"rtil": "", "vanilla": ""},
        method={"name": method, **published(METHODS[method])},
    )
    return default_config(fields)


def inversion_help(config: ConfigDict) -> dict[str, str]:
    """Returns {dotted field: help}; the help of method arguments is in its class."""
    texts = help_texts(InversionFields())
    method = METHODS.get(config.method.get("name"))
    about = attributes(method) if method else {}
    return texts | {f"method.{name}": text for name, text in about.items()}


def attributes(kind: type) -> dict[str, str]:
    """Returns {name: text} from the section "Attributes" of a class's docstring."""
    _, _, section = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    section = section.partition("\n\n")[0]
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \w)", "\n" + section):
        names, _, text = entry.strip().partition(": ")
        for name in names.split(","):
            found[name.strip()] = " ".join(text.split())
    return found
