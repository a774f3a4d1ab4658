"""Inversion: recovers images from measurements.

A method (`ILO`, `MGANPrior`, `CSGM`, ...) is a list of stages; the solver runs them.
"""

from rtil_jax.inversion.csgm import CSGM
from rtil_jax.inversion.deep_decoder import DeepDecoder
from rtil_jax.inversion.ilo import ILO
from rtil_jax.inversion.inverting import invert
from rtil_jax.inversion.langevin import (
    Langevin,
    PosteriorSamples,
    posterior_samples,
)
from rtil_jax.inversion.mganprior import MGANPrior
from rtil_jax.inversion.problems import Problem, make_problem, measurement_loss
from rtil_jax.inversion.reconstruction import Reconstruction
from rtil_jax.inversion.solutions import (
    Solution,
    load_solution,
    render,
    save_solution,
)
from rtil_jax.inversion.surgery import Surgery
from rtil_jax.priors.prior import Prior, load_prior

__all__ = [
    "CSGM",
    "DeepDecoder",
    "ILO",
    "Langevin",
    "MGANPrior",
    "PosteriorSamples",
    "Prior",
    "Problem",
    "Reconstruction",
    "Solution",
    "Surgery",
    "invert",
    "load_prior",
    "load_solution",
    "make_problem",
    "measurement_loss",
    "posterior_samples",
    "render",
    "save_solution",
]
