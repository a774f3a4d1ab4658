"""Detects divergence of training, and says where it began and what may help.

Metrics stay on the device until they are logged, so that no step waits for a check.
They are then read step by step, which finds the first one that is not finite.
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
# Metric -> (likely cause, what may help), in the order of computation: infinite numbers
# spread, so the first metric in a step shows the origin.
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
    """Training has diverged: a metric or a weight is not finite.

    Attributes:
        step: number of the first such step, from 1.
        what: the metric and its value, its likely cause, and what may help.
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
    """Returns the newest value of each metric, as a float.

    Args:
        unread: the metrics of consecutive steps.
        first: number of finished steps before the first of them.
        config: the config, for the advice in the error.

    Raises:
        Diverged: if a value is not finite; it reports the first one.
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
    """Tells whether every number in a tree of arrays is finite."""
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]))
