"""Several training steps in one call, where the images are on the devices.

A GPU computes a step of a small network faster than Python can ask for the next one.
One program then makes up to 16 steps, reads its images by index, and leaves the metrics
of all of them on the device until they are logged. Steps, keys, images and checkpoints
are those of single steps; what is made may differ by rounding.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, UInt8

from rtil_jax import data
from rtil_jax.compiling import compiled
from rtil_jax.experiments.compiling import compile_ahead
from rtil_jax.experiments.stopping import Stopping
from rtil_jax.experiments.training.training_config import TrainingRun
from rtil_jax.experiments.training.training_images import Resident, take
from rtil_jax.training.recipe import Metrics, Recipe
from rtil_jax.training.state import TrainState
from rtil_jax.training.stylegan2 import StyleGAN2Recipe, is_due, iteration

AT_ONCE = 16  # the cycle of the published lazy regularisers
SECTIONS = ("log", "sample", "checkpoint")


def steps_at_once(recipe: Recipe, images: data.ImageSet | Resident) -> int:
    """How many steps a call makes at most.

    On CPUs one: XLA runs the gradients of convolutions several times more slowly within
    loops and branches there. And one of PGGAN, whose programs change as it grows.
    """
    on_devices = isinstance(images, Resident)
    return AT_ONCE if on_devices and isinstance(recipe, StyleGAN2Recipe) else 1


def steps_until_due(config: TrainingRun, done: int, at_once: int) -> int:
    """Returns how many steps the next call makes: until something is logged or saved.

    Args:
        config: the config of the training.
        done: number of finished steps, from 0.
        at_once: the most steps of one call, at least 1.
    """
    ends = [config.training.steps - done, at_once]
    for section in SECTIONS:
        every = getattr(config, section).every
        ends.append(every - done % every)
    return min(ends)


@dataclasses.dataclass(frozen=True)
class StepsMetrics:
    """The metrics of consecutive steps, on the device.

    Attributes:
        recipe: says which regularisers a step has.
        first: finished steps before them.
        count: how many they are.
        values: name -> an array, of which the first `count` entries count.
        last: metrics that the last of them has besides.
    """

    recipe: Any
    first: int
    count: int
    values: dict[str, Array]
    last: Metrics = dataclasses.field(default_factory=dict)

    def __or__(self, last: Metrics) -> "StepsMetrics":
        """Likewise with more metrics of the last step."""
        return dataclasses.replace(self, last=last)

    def by_step(self) -> list[Metrics]:
        """What each step would have returned by itself."""
        values = jax.device_get(self.values)
        steps: list[Metrics] = [
            {
                name: array[index]
                for name, array in values.items()
                if is_due(self.recipe, name, self.first + index)
            }
            for index in range(self.count)
        ]
        steps[-1] |= jax.device_get(self.last)
        return steps


def by_step(unread: list[Metrics | StepsMetrics]) -> list[Metrics]:
    """Metrics of single and of several steps, one entry for each."""
    found: list[Metrics] = []
    for entry in unread:
        found += entry.by_step() if isinstance(entry, StepsMetrics) else [entry]
    return found


def make_steps(
    config: TrainingRun,
    recipe: Recipe,
    state: TrainState,
    images: data.ImageSet | Resident,
    key: jax.Array,
    step: int,
    count: int,
    skipped: int,
) -> tuple[TrainState, StepsMetrics]:
    """Makes `count` steps after `step` finished ones, in one call.

    Args:
        config: the config of the training.
        recipe: networks, family and hyperparameters.
        state: the state of the training; its buffers are donated.
        images: the images of the training, on the devices.
        key: PRNG key of the training, the same at every step.
        step: number of finished steps, from 0.
        count: number of steps to make, from 1 to `AT_ONCE`.
        skipped: number of images left out before these steps, at least 0.
    """
    given = config, recipe, state, images, key, step, count, skipped
    function, *arguments = program(*given)
    state, values = function(*arguments)
    return state, StepsMetrics(recipe, step, count, values)


def compile_steps(
    config: TrainingRun,
    recipe: Recipe,
    state: TrainState,
    images: data.ImageSet | Resident,
    key: jax.Array,
    stopping: Stopping,
) -> None:
    """Compiles what `make_steps` runs.

    Args:
        config: the config of the training.
        recipe: networks, family and hyperparameters.
        state: the state of the training.
        images: the images of the training, on the devices.
        key: PRNG key of the training, the same at every step.
        stopping: knows whether the process was asked to stop.

    Raises:
        Abandoned: if asked to stop meanwhile.
    """
    steps = program(config, recipe, state, images, key, 0, 1, 0)
    compile_ahead({f"up to {AT_ONCE} training steps in one call": steps}, stopping)


def program(
    config: TrainingRun,
    recipe: Recipe,
    state: TrainState,
    images: data.ImageSet | Resident,
    key: jax.Array,
    step: int,
    count: int,
    skipped: int,
) -> tuple:
    """Returns (jitted function, *arguments) of several steps.

    Args:
        config: the config of the training.
        recipe: networks, family and hyperparameters.
        state: the state of the training.
        images: the images of the training, on the devices.
        key: PRNG key of the training, the same at every step.
        step: number of finished steps, from 0.
        count: number of steps to make, from 1 to `AT_ONCE`.
        skipped: number of images left out before these steps, at least 0.
    """
    assert isinstance(images, Resident)
    choices = []
    for index in range(count):
        plan, flip = recipe.batch_at(step + index), config.data.flip
        first = plan.start + skipped
        choices.append(
            data.batch_choice(config.seed, first, plan.size, len(images), flip)
        )
    indices, mirrored = map(np.stack, zip(*choices, strict=True))
    padding = ((0, AT_ONCE - count), (0, 0))
    rows = np.pad(indices, padding), np.pad(mirrored, padding)
    numbers = np.int32(step), np.int32(count)
    return (_several, recipe, state, images.pixels, *rows, key, *numbers)


def _steps(
    recipe: StyleGAN2Recipe,
    state: TrainState,
    pixels: UInt8[Array, "images height width channels"],
    indices: Int[Array, "steps batch"],
    mirrored: Bool[Array, "steps batch"],
    key: jax.Array,
    step: Int[Array, ""],
    count: Int[Array, ""],
) -> tuple[TrainState, dict[str, Array]]:
    """The state after the first `count` steps, and the metrics of each."""

    def one(index: Any, state: TrainState) -> tuple[TrainState, Metrics]:
        resolution = recipe.generator.resolution
        batch = take(pixels, indices[index], mirrored[index], resolution)
        return iteration(recipe, state, batch, key, step + index)

    def body(
        index: Array, carry: tuple[TrainState, dict[str, Array]]
    ) -> tuple[TrainState, dict[str, Array]]:
        state, metrics = one(index, carry[0])
        written = jax.tree.map(lambda x, new: x.at[index].set(new), carry[1], metrics)
        return state, written

    _, shapes = jax.eval_shape(one, 0, state)
    metrics = {name: jnp.zeros(len(indices), jnp.float32) for name in shapes}
    carry = state, metrics
    return jax.lax.fori_loop(0, count, body, carry)


_several = compiled(_steps, static_argnums=0, donate_argnums=1)
