"""Divergence: numbers that are not finite, where they began, and what may help.

Metrics stay on the device until they are logged, so that no step waits for a check;
they are then read step by step, which finds the first that was not finite.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from rtil_jax.errors import UserError
from rtil_jax.experiments.training.training_config import TrainingRun
from rtil_jax.training.state import TrainState

_D, _G = "the discriminator", "the generator"
_R1, _PATH = "the R1 penalty", "the path-length penalty"
_PENALTY = "the gradient penalty"
_SMALLER = "a smaller config.training.learning_rate"
# Metric -> (what it belongs to, what may help), in the order of computation: what is
# not finite spreads, so that the first in a step names the origin.
_CAUSES = {
    "real_score": (_D, f"{_SMALLER}, or a larger penalty on its gradient"),
    "fake_score": (_D, f"{_SMALLER}, or a larger penalty on its gradient"),
    "gradient_penalty": (_PENALTY, f"{_SMALLER} or config.training.penalty_weight"),
    "d_loss": (_D, f"{_SMALLER}, or a larger penalty on its gradient"),
    "d_gradient": (_D, f"{_SMALLER}, or a larger penalty on its gradient"),
    "r1": (_R1, f"{_SMALLER} or config.training.r1_weight"),
    "r1_gradient": (_R1, f"{_SMALLER} or config.training.r1_weight"),
    "g_loss": (_G, _SMALLER),
    "g_gradient": (_G, _SMALLER),
    "path_penalty": (_PATH, f"{_SMALLER} or config.training.path_weight"),
    "path_gradient": (_PATH, f"{_SMALLER} or config.training.path_weight"),
    "path_length": (_PATH, f"{_SMALLER} or config.training.path_weight"),
    "weights": ("an update of the weights", _SMALLER),
}


class Diverged(UserError):
    """Something is not finite.

    Attributes:
        step: number of the first step, from 1, after which it was not.
        what: name and value of what it was, its likely cause, and what may help.
    """

    def __init__(self, step: int, name: str, value: float, config: TrainingRun):
        cause, help = _CAUSES.get(name, ("unknown", _SMALLER))
        self.step = step
        self.what = (
            f"training diverged at step {step:,}: {name} became {value}; likely cause: "
            f"{cause}, try {help} (learning_rate = {config.training.learning_rate:g})"
        )
        super().__init__(self.what)


def newest_values(unread: list[dict], first: int, config: TrainingRun) -> dict:
    """The newest value of each metric, as a float.

    Args:
        unread: the metrics of consecutive steps, the first after `first` finished ones.
        first: number of finished steps.
        config: to say what may help.

    Raises:
        Diverged: if a value is not finite, for the first of them.
    """
    newest: dict[str, Any] = {}
    for step, metrics in enumerate(jax.device_get(unread), start=first + 1):
        for name in [*filter(metrics.__contains__, _CAUSES), *metrics]:
            if not np.isfinite(metrics[name]):
                raise Diverged(step, name, float(metrics[name]), config)
        newest |= metrics
    return {name: float(value) for name, value in newest.items()}


def check_finite(state: TrainState, config: TrainingRun) -> None:
    """Raises Diverged if a number in `state` is not finite."""
    if not all_finite(state):
        raise Diverged(int(state.step), "weights", float("nan"), config)


@jax.jit
def all_finite(tree: Any) -> Bool[Array, ""]:
    """Whether every number in `tree` is finite."""
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]))
