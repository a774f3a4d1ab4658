"""The units in which z_k, or the features that Surgery searches, are moved.

A step of Adam has the size of the learning rate, whatever the size of the features. So
that one rate serves every prior, the variable is u with z_k = s_k u, and s_k is the
standard deviation of the prior's own features after block k.
"""

from typing import Any, Literal

from jaxtyping import Array

from rtil_jax.inversion.stages import Variables
from rtil_jax.priors.prior import Prior

Units = Literal["absolute", "features"]


def prior_for(method: Any, prior: Prior) -> Prior:
    """The prior with what the method's units need to know about it."""
    if getattr(method, "units", "absolute") == "features":
        return prior.with_feature_scales()
    return prior


def to_absolute(prior: Prior, units: Units, block: int, u: Array) -> Array:
    """z_k = s_k u; u itself where units are absolute."""
    return prior.feature_scales[block - 1] * u if units == "features" else u


def all_to_absolute(prior: Prior, units: Units, intermediates: Variables) -> Variables:
    """{k: z_k} of {k: u}."""
    return {k: to_absolute(prior, units, k, u) for k, u in intermediates.items()}
