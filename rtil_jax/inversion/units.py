"""The units in which methods move z_k, or the features that Surgery searches.

A step of Adam has the size of the learning rate, whatever the size of the features. To
let one rate serve every prior, methods move u instead, with z_k = s_k u, where s_k is
the standard deviation of the prior's features after block k.
"""

from typing import Any, Literal

from jaxtyping import Array

from rtil_jax.inversion.stages import Variables
from rtil_jax.priors.prior import Prior

Units = Literal["absolute", "features"]


def prior_for(method: Any, prior: Prior) -> Prior:
    """Returns the prior with its feature scales, if the method's units need them."""
    if getattr(method, "units", "absolute") == "features":
        return prior.with_feature_scales()
    return prior


def to_absolute(
    prior: Prior, units: Units, block: int, u: Array, unit: float | Array = 1.0
) -> Array:
    """Returns z_k = unit * s_k * u, or unit * u for absolute units.

    Args:
        prior: the prior; it has feature scales s_k if `units` is `features`.
        units: `absolute` or `features`.
        block: k.
        u: `(batch, height, width, channels)`.
        unit: a factor of the units, above 0.
    """
    return unit * (prior.feature_scales[block - 1] * u if units == "features" else u)


def all_to_absolute(
    prior: Prior, units: Units, unit: float | Array, intermediates: Variables
) -> Variables:
    """Applies `to_absolute` to every block: returns {k: z_k} for {k: u}.

    Args:
        prior: the prior; it has feature scales if `units` is `features`.
        units: `absolute` or `features`.
        unit: a factor of the units, above 0.
        intermediates: {k: u}, each `(batch, height, width, channels)`.
    """
    return {k: to_absolute(prior, units, k, u, unit) for k, u in intermediates.items()}
