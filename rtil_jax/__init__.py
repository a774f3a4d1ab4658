"""RTIL: regularised training of intermediate layers for inverse problems, in JAX.

`import rtil_jax as rj` imports nothing else until a name is used:

    prior = rj.load_prior("pretrained:faces64_rtil")
    found = rj.invert(rj.ILO(), prior, y, rj.operators.Inpainting(mask), key=0)
    print(found)
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# Where the names of `rtil_jax` are defined.
_PLACES = {
    "rtil_jax.inversion": (
        "CSGM",
        "DeepDecoder",
        "ILO",
        "MGANPrior",
        "Prior",
        "Problem",
        "Reconstruction",
        "Surgery",
        "invert",
        "load_prior",
        "load_solution",
        "make_problem",
        "measurement_loss",
        "posterior_samples",
        "render",
    ),
    "rtil_jax.baselines": (
        "Bicubic",
        "Biharmonic",
        "PlugAndPlay",
        "TotalVariation",
        "Wavelet",
    ),
    "rtil_jax.experiments.report.recovered_page": ("report",),
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}
_MODULES = ("baselines", "data", "families", "generators", "metrics", "operators")


def __getattr__(name: str) -> Any:
    if name in _PLACE_OF:
        found = getattr(importlib.import_module(_PLACE_OF[name]), name)
        globals()[name] = found
        return found
    if name in _MODULES:
        return importlib.import_module(f"rtil_jax.{name}")
    raise AttributeError(f"module 'rtil_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACE_OF, *_MODULES})
