"""What the training loop asks of a recipe: a GAN's losses, optimisers, schedule."""

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
    """The images of one step.

    Attributes:
        start: how many images all earlier steps have read together.
        size: how many this one reads, over all devices.
        resolution: their height and width.
    """

    start: int
    size: int
    resolution: int


@runtime_checkable
class Recipe(Protocol):
    """Implementations are frozen dataclasses: steps are compiled once per recipe."""

    @property
    def generator(self) -> Generator:
        """The generator, at its full resolution."""

    @property
    def discriminator(self) -> Discriminator:
        """The discriminator, from images to scores."""

    @property
    def family(self) -> Family:
        """The distribution over intermediate inputs."""

    def fresh_state(self, key: jax.Array) -> TrainState:
        """The state before the first step, with weights drawn from `key`."""

    def first_steps(self) -> tuple[int, ...]:
        """The steps, from 0, at which the shape of a batch changes."""

    def batch_at(self, step: int) -> BatchPlan:
        """What the step after `step` finished ones reads."""

    def train_step(
        self,
        state: TrainState,
        images: Array | np.ndarray,
        key: jax.Array,
        step: int,
    ) -> tuple[TrainState, Metrics]:
        """One iteration; the buffers of `state` are donated.

        Args:
            state: after `step` iterations.
            images: those of `batch_at(step)`, in [-1, 1].
            key: of the run, see `keys.run_key`; it is folded with `step`.
            step: number of finished iterations, a Python int.
        """

    def measure(self, state: TrainState) -> Metrics:
        """Metrics of the state itself, for the steps whose metrics are written."""

    def sample(
        self, params: dict, step: int, columns: int
    ) -> Float[Array, "members columns height width channels"]:
        """Images of every member; each has the same inputs at any `step`."""

    def programs(
        self,
        state: TrainState,
        images_at: Callable[[BatchPlan], Array | jax.ShapeDtypeStruct],
        key: jax.Array | jax.ShapeDtypeStruct,
        step: int | None = None,
    ) -> dict[str, tuple]:
        """name -> (jitted function, *arguments) of whatever a step runs.

        The arguments may be shapes; `images_at` makes those of the images. Of the step
        after `step` finished ones, or of all steps if it is None.
        """
