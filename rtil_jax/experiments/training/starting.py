"""Loads the state that a run starts from: a checkpoint, `init_from`, or fresh weights.

`init_from` is checked before anything runs, also in a dry run.
"""

import dataclasses

import jax
import jax.numpy as jnp

from rtil_jax import distributed
from rtil_jax.checkpoints import (
    Checkpoints,
    check_weights,
    load_config,
    load_weights,
)
from rtil_jax.errors import UserError
from rtil_jax.experiments.compiling import aside
from rtil_jax.experiments.stopping import Stopping
from rtil_jax.experiments.training.training_config import TrainingRun
from rtil_jax.experiments.training.training_plan import abstract_state, fresh_state
from rtil_jax.generators.configured import architecture_of
from rtil_jax.priors import is_packed, locate, read_config, read_weights
from rtil_jax.training.keys import run_keys
from rtil_jax.training.recipe import Recipe
from rtil_jax.training.state import TrainState


def initial_state(
    config: TrainingRun,
    recipe: Recipe,
    checkpoints: Checkpoints,
    mesh: jax.sharding.Mesh,
    stopping: Stopping | None = None,
) -> TrainState:
    """Returns the run's own checkpoint, the weights of `init_from`, or fresh weights.

    It takes the first of these that exists.

    Args:
        config: the config of the run.
        recipe: its recipe.
        checkpoints: its checkpoints.
        mesh: the devices.
        stopping: tells whether the run was asked to stop; may be None.

    Raises:
        Abandoned: if the run is asked to stop meanwhile.
    """
    if checkpoints.latest_step() is not None:
        state = checkpoints.restore(abstract_state(recipe, mesh))
        distributed.say(f"resuming at step {int(state.step):,}")
        return state
    key = run_keys(config.seed).weights
    state = aside(
        lambda: fresh_state(recipe, mesh, key), stopping, "compiling the first weights"
    )
    if config.init_from:
        state = weights_of(config.init_from, state)
        anew = ""
        if is_packed(locate(config.init_from)):
            anew = "; the discriminator starts anew, because there is none"
        distributed.say(f"starting from the weights of {config.init_from}{anew}")
    return state


def check_init_from(
    config: TrainingRun, recipe: Recipe, mesh: jax.sharding.Mesh
) -> None:
    """Checks by names and shapes that a run can start from `config.init_from`.

    Args:
        config: the config of the run.
        recipe: its recipe.
        mesh: the devices.

    Raises:
        UserError: if the prior does not exist, or its architecture or the names or
            shapes of its networks differ from the config's.
    """
    directory = locate(config.init_from, "config.init_from")
    packed = is_packed(directory)
    saved = (read_config if packed else load_config)(directory)
    found, expected = architecture_of(saved), config.architecture
    if found != expected:
        raise UserError(
            f"config.init_from: found a {found} prior in {config.init_from}, expected "
            f"{expected} (config.architecture)"
        )
    state = abstract_state(recipe, mesh)
    try:
        if packed:
            read_weights(directory, state.generator)
        else:
            check_weights(directory, state)
    except UserError as error:
        raise UserError(f"config.init_from: {error}") from error


def weights_of(source: str, state: TrainState) -> TrainState:
    """Returns `state` with the networks of a training directory or `pretrained:NAME`.

    A packaged prior has only a generator, the moving average of its run. Generator and
    moving average start from it, and the discriminator stays as it is in `state`.

    Raises:
        UserError: if the networks do not exist, or their names or shapes differ.
    """
    directory = locate(source, "config.init_from")
    if not is_packed(directory):
        return load_weights(directory, state)
    weights = jax.device_get(read_weights(directory, state.generator))
    placed = jax.device_put(
        weights, jax.tree.map(lambda x: x.sharding, state.generator)
    )
    # Copies, because donated buffers must not be shared by two leaves.
    generator, ema = (jax.tree.map(jnp.copy, placed) for _ in range(2))
    return dataclasses.replace(state, generator=generator, ema=ema)
