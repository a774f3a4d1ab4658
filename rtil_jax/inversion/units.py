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


def to_absolute(
    prior: Prior, units: Units, block: int, u: Array, unit: float | Array = 1.0
) -> Array:
    """z_k = unit s_k u; unit u where units are absolute.

    Args:
        prior: with its feature scales where they are the units.
        units: `absolute` or `features`.
        block: k.
        u: `(batch, height, width, channels)`.
        unit: how many of them u counts in.
    """
    return unit * (prior.feature_scales[block - 1] * u if units == "features" else u)


def all_to_absolute(
    prior: Prior, units: Units, unit: float | Array, intermediates: Variables
) -> Variables:
    """{k: z_k} of {k: u}; see `to_absolute`."""
    return {k: to_absolute(prior, units, k, u, unit) for k, u in intermediates.items()}
