"""The hyperparameters of both training algorithms, with defaults, help and checks.

They are attributes of a recipe, and the section `training` of a config. The defaults
are those of the public training code.
"""

import dataclasses

from rtil_jax.fields import NOT_NEGATIVE, POSITIVE, Condition, at_least, field

BELOW_ONE = Condition(lambda value: 0 <= value < 1, "a number in [0, 1)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StyleGAN2Hyperparameters:
    """The hyperparameters of RTIL-StyleGAN2, see `rtil_jax.training.stylegan2`."""

    batch_size: int = field(6, "Number of images per step, over all devices.")
    learning_rate: float = field(
        0.002,
        "Learning rate of Adam for both networks, before the correction for lazy "
        "regularisation.",
        POSITIVE,
    )
    r1_weight: float = field(10.0, "Weight of the R1 penalty.", NOT_NEGATIVE)
    r1_every: int = field(
        16, "Steps from one R1 penalty to the next; 0 disables it.", at_least(0)
    )
    path_weight: float = field(2.0, "Weight of the path-length penalty.", NOT_NEGATIVE)
    path_every: int = field(
        4,
        "Steps from one path-length penalty to the next; 0 disables it. It needs a "
        "generator with styles.",
        at_least(0),
    )
    path_batch_shrink: int = field(
        2,
        "The path-length penalty uses batch_size divided by this number of images "
        "(Karras et al. 2020). The public RTIL code takes the same 2 for the number of "
        "images of each member.",
        at_least(1),
    )
    ema_decay: float = field(
        0.5 ** (32 / 10_000),
        "Decay per step of the moving average of the weights, which is the prior.",
        BELOW_ONE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PGGANHyperparameters:
    """The hyperparameters of RTIL-PGGAN, see `rtil_jax.training.pggan`."""

    learning_rate: float = field(
        0.001, "Learning rate of Adam for both networks.", POSITIVE
    )
    penalty_weight: float = field(
        10.0, "Weight of the gradient penalty (WGAN-GP).", NOT_NEGATIVE
    )
    drift: float = field(
        0.001, "Weight of the squared scores of real images.", NOT_NEGATIVE
    )
    ema_decay: float = field(
        0.999,
        "Decay per step of the moving average of the weights, which is the prior.",
        BELOW_ONE,
    )
