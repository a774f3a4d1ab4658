"""Recover images from few measurements with a generative prior, in JAX.

Given measurements y = A(x) of an image x, and a generator trained on images like x,
`invert` searches the generator's latent code and the inputs of its intermediate layers
for an image that explains y. Generators trained with RTIL (Gunn, Cocola and Hand, TMLR
2023) have already seen such inputs in training.

    import numpy as np
    import rtil_jax as rj

    prior = rj.load_prior("pretrained:faces64_rtil")  # or a directory of `rtil train`
    A = rj.operators.Inpainting(np.random.default_rng(0).random((64, 64)) < 0.5)
    y = A(image)  # yours: float32 (64, 64, 1), or (n, 64, 64, 1), in [-1, 1]

    found = rj.invert(rj.ILO(), prior, y, A, key=0)
    print(found)  # a line per image
    found.images  # float32 (n, 64, 64, 1) in [-1, 1]
    found.save("recovered"), found.report("recovered")  # files, and a page

Recovering
    invert              runs a method on measurements
    Reconstruction      what it returns: images, residuals, status of each
    make_problem        simulates measurements of images that you have
    Problem             operators, measurements and, if known, the truth
    measurement_loss    how well images explain measurements
    posterior_samples   draws images from the posterior, by Langevin dynamics

Methods with a prior
    ILO                 optimises the latent code, then its layers one by one
    MGANPrior           mixes the features of several codes
    CSGM                optimises the latent code alone
    Surgery             cuts off the first blocks and optimises the features there

Methods without a prior
    GaussianField, TotalVariation, Wavelet, PlugAndPlay, DeepDecoder, Biharmonic,
    Bicubic

Priors and solutions
    Prior               a generator and its variables; `Prior.of` wraps your own
    load_prior          loads a training directory, or `pretrained:NAME`
    load_solution       reads what `found.save` wrote
    render              draws the images of a solution
    report              writes a web page about a reconstruction

Modules
    operators           inpainting, blur, CT, MRI, ..., and your own operators
    families            the distributions of layer inputs in RTIL training
    generators          StyleGAN2, PGGAN, and the interface for your own
    metrics             PSNR, SSIM and intervals
    baselines           solvers without a prior
    data                loads images from folders, zips and data sets

Use `help(rj.ILO)` and so on for each name, and `rtil --help` in a terminal.
`import rtil_jax` is quick: each name is imported when it is first used.
"""

import importlib
from typing import Any

__version__ = "0.2.0"

# The module that defines each name of `rtil_jax`.
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
        "GaussianField",
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
