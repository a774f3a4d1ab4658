"""The learning-rate schedule of Karras et al. (2020)'s projector, which ILO uses."""

import math

RAMP_UP, RAMP_DOWN = 0.05, 0.75


def ramp(progress: float) -> float:
    """Returns the factor of the learning rate at `progress` = step / steps in [0, 1).

    It rises linearly over the first 5 %, is 1 until 25 %, then falls as half a cosine:

        r = min(1, (1 - t) / 0.75),  (1 - cos(pi r)) / 2 * min(1, t / 0.05).

    It is 0 at the first step of a stage.
    """
    down = min(1.0, (1.0 - progress) / RAMP_DOWN)
    return (0.5 - 0.5 * math.cos(math.pi * down)) * min(1.0, progress / RAMP_UP)
