"""The config of `rtil theory`: its fields, and checks of their dimensions."""

import dataclasses
import math
from typing import Any

from ml_collections import ConfigDict

from rtil_jax.config import require
from rtil_jax.experiments.parsing import parse
from rtil_jax.fields import Condition, at_least, field

_SPREAD = Condition(lambda count: count >= 2, "at least 2, for a standard error")
_ABOVE_0 = Condition(lambda value: 0 < value < math.inf, "above 0")


@dataclasses.dataclass(frozen=True)
class Training:
    """Gradient descent on W_1; see `rtil_jax.theory.learning.train`."""

    steps: int = field(1_000, "Number of steps.", _ABOVE_0)
    batch: int = field(256, "Number of draws in each step.", _ABOVE_0)
    learning_rate: float = field(
        0.02, "Learning rate at the start; it falls to 0.", _ABOVE_0
    )


@dataclasses.dataclass(frozen=True)
class Inversion:
    """ILO; see `rtil_jax.theory.learning.invert_learned`."""

    steps: int = field(2_000, "Number of steps of each of ILO's two stages.", _ABOVE_0)
    learning_rate: float = field(
        0.2, "Highest learning rate of Adam's schedule.", _ABOVE_0
    )


@dataclasses.dataclass(frozen=True)
class Learned:
    """The same models, trained and inverted by gradient descent."""

    measurements: tuple = field(
        (20, 24, 32, 48, 63), "Numbers m of measurements, at least n_1."
    )
    signals: int = field(64, "Number of signals, each with its own A.", _SPREAD)
    training: Training = field(Training, "")
    inversion: Inversion = field(Inversion, "")


@dataclasses.dataclass(frozen=True)
class TheoryRun:
    """The fields of the config of `rtil theory`."""

    seed: int = field(0, "Seed of the generators, the operators and the signals.")
    latent_dim: int = field(
        4, "n_0, the size of z_0, with n_0 < n_1 < n_d.", at_least(1)
    )
    num_features: int = field(16, "n_1, the number of features between the two layers.")
    resolution: int = field(
        8, "Height and width of the square images: n_d = resolution^2."
    )
    measurements: tuple = field(
        (6, 8, 10, 12, 14, 15, 16, 18, 20, 24, 32, 40, 48, 56, 63),
        "Numbers m of measurements, at least n_0 and below n_d. Lemma 5.2 is about "
        "m >= n_1; smaller numbers show what happens outside it.",
    )
    operators: int = field(200, "Number of draws of A for each m.", _SPREAD)
    signals: int = field(200, "Number of signals for each A.", at_least(1))
    learned: Learned = field(Learned, "")


def parse_theory(config: ConfigDict) -> TheoryRun:
    """Parses the config of `rtil theory`.

    Raises:
        UserError: if a field is unknown or cannot be used, or the dimensions are not as
            in Section 5.1.
    """
    run = parse(TheoryRun, config)
    n0, n1, nd = run.latent_dim, run.num_features, run.resolution**2
    require(n1 > n0, "num_features", n1, f"more than latent_dim ({n0})")
    above = f"more than {n1} pixels, num_features ({run.resolution}^2 = {nd})"
    require(nd > n1, "resolution", run.resolution, above)
    _require_counts("measurements", run.measurements, n0, nd - 1)
    _require_counts("learned.measurements", run.learned.measurements, n1, nd - 1)
    return run


def _require_counts(field: str, found: Any, fewest: int, most: int) -> None:
    fits = all(type(m) is int and fewest <= m <= most for m in found)
    expected = f"whole numbers from {fewest} to {most}"
    require(bool(found) and fits, field, found, expected)
