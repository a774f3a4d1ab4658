"""Compiles a training step before it runs."""

import jax

from rtil_jax.experiments.compiling import compile_ahead
from rtil_jax.experiments.stopping import Stopping
from rtil_jax.experiments.training.training_plan import abstract_images
from rtil_jax.training.recipe import BatchPlan, Recipe
from rtil_jax.training.state import TrainState


def compile_step(
    recipe: Recipe, state: TrainState, key: jax.Array, step: int, stopping: Stopping
) -> None:
    """Compiles the programs of the next step.

    Args:
        recipe: the recipe of the run.
        state: the state, arrays or shapes.
        key: the PRNG key of the run.
        step: number of finished steps.
        stopping: tells whether the run was asked to stop.

    Raises:
        Abandoned: if the run is asked to stop meanwhile.
    """
    mesh = jax.sharding.get_mesh()

    def images_at(batch: BatchPlan) -> jax.ShapeDtypeStruct:
        return abstract_images(batch, recipe.generator.channels, mesh)

    programs = recipe.programs(state, images_at, key, step)
    of = f" of {len(programs)} programs"
    named = {
        f"the training step, {number}{of}: {name}": program
        for number, (name, program) in enumerate(programs.items(), 1)
    }
    compile_ahead(named, stopping)
