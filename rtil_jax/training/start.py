"""What training starts from: the run's own checkpoint, another run, or new weights."""

import os

import jax
from ml_collections import ConfigDict

from rtil_jax import devices, distributed
from rtil_jax.checkpoints import Checkpoints, load_config, load_weights
from rtil_jax.compiling import aside
from rtil_jax.errors import UserError
from rtil_jax.generators.configured import architecture_of
from rtil_jax.stopping import Stopping
from rtil_jax.training.plan import abstract_state
from rtil_jax.training.recipe import Recipe
from rtil_jax.training.state import TrainState


def initial_state(
    config: ConfigDict,
    recipe: Recipe,
    checkpoints: Checkpoints,
    mesh: jax.sharding.Mesh,
    stopping: Stopping | None = None,
) -> TrainState:
    """In this order: the run's own checkpoint, `init_from`'s weights, fresh weights.

    Raises:
        Abandoned: if asked to stop meanwhile.
    """
    if checkpoints.latest_step() is not None:
        state = checkpoints.restore(abstract_state(recipe, mesh))
        distributed.say(f"resuming at step {int(state.step):,}")
        return state
    create = jax.jit(recipe.fresh_state, out_shardings=devices.replicated(mesh))
    key = jax.random.key(config.seed)
    state = aside(lambda: create(key), stopping, "compiling the first weights")
    if config.init_from:
        check_architecture(config)
        state = load_weights(config.init_from, state)
        distributed.say(f"starting from the weights of {config.init_from}")
    return state


def check_start(
    config: ConfigDict, recipe: Recipe, workdir: str, mesh: jax.sharding.Mesh
) -> None:
    """Raises UserError unless `init_from`, if it is needed, can be read and fits."""
    begun = os.path.isdir(os.path.join(workdir, "checkpoints"))
    if config.init_from and not begun:
        check_architecture(config)
        load_weights(config.init_from, abstract_state(recipe, mesh))


def check_architecture(config: ConfigDict) -> None:
    """Raises UserError if `init_from` has another architecture than the config."""
    found = architecture_of(load_config(config.init_from))
    expected = architecture_of(config)
    if found != expected:
        raise UserError(
            f"config.init_from: found a {found} prior in {config.init_from}, expected "
            f"{expected} (config.architecture)"
        )
