"""The interface of a recipe: the losses, optimisers and schedule of one kind of GAN."""

import dataclasses
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from rtil_jax.discriminators import Discriminator
from rtil_jax.families import Family
from rtil_jax.generators import Generator
from rtil_jax.training.state import TrainState

Metrics = dict[str, ArrayLike]


@dataclasses.dataclass(frozen=True)
class BatchPlan:
    """Which images a step reads.

    Attributes:
        start: how many images all earlier steps together have read.
        size: how many images this step reads, over all devices.
        resolution: their height and width.
    """

    start: int
    size: int
    resolution: int


@runtime_checkable
class Recipe(Protocol):
    """What the training loop calls on a recipe.

    Implementations are frozen dataclasses, so that steps are compiled once per recipe.
    """

    @property
    def generator(self) -> Generator:
        """The generator, at its full resolution."""

    @property
    def discriminator(self) -> Discriminator:
        """The discriminator, which scores images."""

    @property
    def family(self) -> Family:
        """The distribution over intermediate inputs."""

    def fresh_state(self, key: jax.Array) -> TrainState:
        """Returns the state before the first step, with weights drawn from `key`."""

    def first_steps(self) -> tuple[int, ...]:
        """Returns the steps, counted from 0, at which the shape of a batch changes."""

    def batch_at(self, step: int) -> BatchPlan:
        """Returns which images the step that follows `step` finished ones reads."""

    def train_step(
        self,
        state: TrainState,
        images: Array | np.ndarray,
        key: jax.Array,
        step: int,
    ) -> tuple[TrainState, Metrics]:
        """Runs one iteration and returns (state, metrics).

        Args:
            state: after `step` iterations; its buffers are donated.
            images: those of `batch_at(step)`, `(batch, height, width, channels)` in
                [-1, 1].
            key: the PRNG key of the run, see `keys.run_key`; it is folded with `step`.
            step: number of finished iterations, a Python int.
        """

    def measure(self, state: TrainState) -> Metrics:
        """Returns metrics of the state itself, for steps whose metrics are written."""

    def sample(
        self, params: dict, step: int, columns: int
    ) -> Float[Array, "members columns height width channels"]:
        """Draws images of every member of the family, from the same inputs at any step.

        Args:
            params: variables of the generator.
            step: number of finished iterations.
            columns: number of images per member.
        """

    def programs(
        self,
        state: TrainState,
        images_at: Callable[[BatchPlan], Array | jax.ShapeDtypeStruct],
        key: jax.Array | jax.ShapeDtypeStruct,
        step: int | None = None,
    ) -> dict[str, tuple]:
        """Returns {name: (jitted function, *arguments)} of the programs of a step.

        Args:
            state: arrays or shapes.
            images_at: makes the images of a batch, or their shape.
            key: the PRNG key of the run, or its shape.
            step: number of finished iterations; None for the programs of all steps.
        """
