"""Describes a training run: its first line, and the plan of `--dry_run`."""

import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp

from rtil_jax import data, devices, distributed
from rtil_jax.experiments.estimate import (
    compiled_cost,
    duration,
    measured_speed,
    time_line,
    work_of,
)
from rtil_jax.experiments.training.training_config import TrainingRun
from rtil_jax.experiments.training.training_images import describe_flips
from rtil_jax.training.recipe import BatchPlan, Recipe
from rtil_jax.training.state import TrainState


def count_parameters(tree: Any) -> int:
    """Returns the number of scalars in a pytree of arrays or shapes."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@functools.partial(jax.jit, static_argnames=("recipe", "mesh"))
def fresh_state(recipe: Recipe, mesh: jax.sharding.Mesh, key: jax.Array) -> TrainState:
    """Returns the first state of a recipe, replicated over the devices.

    It is one program per recipe, which is traced once for shapes and weights.

    Args:
        recipe: the recipe of the run.
        mesh: the devices.
        key: the PRNG key of the weights.
    """
    sharding = devices.replicated(mesh)
    return jax.lax.with_sharding_constraint(recipe.fresh_state(key), sharding)


def abstract_state(recipe: Recipe, mesh: jax.sharding.Mesh) -> TrainState:
    """Returns the shapes of the state, replicated over the devices."""
    sharding = devices.replicated(mesh)
    state = jax.eval_shape(fresh_state, recipe, mesh, jax.random.key(0))
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        state,
    )


def abstract_images(
    batch: BatchPlan, channels: int, mesh: jax.sharding.Mesh
) -> jax.ShapeDtypeStruct:
    """Returns the shape of the images of a step, split over the devices.

    Args:
        batch: the batch of the step.
        channels: channels of the images.
        mesh: the devices.
    """
    return jax.ShapeDtypeStruct(
        (batch.size, batch.resolution, batch.resolution, channels),
        jnp.float32,
        sharding=devices.batch_sharded(mesh),
    )


def programs_of(
    recipe: Recipe, mesh: jax.sharding.Mesh, step: int | None = None
) -> dict[str, tuple]:
    """Returns {name: (jitted function, *shapes)} of the programs of a step.

    Args:
        recipe: the recipe of the run.
        mesh: the devices.
        step: number of finished steps; None for the programs of all steps.
    """

    def images_at(batch: BatchPlan) -> jax.ShapeDtypeStruct:
        return abstract_images(batch, recipe.generator.channels, mesh)

    key = jax.eval_shape(lambda: jax.random.key(0))
    return recipe.programs(abstract_state(recipe, mesh), images_at, key, step)


def step_memory(recipe: Recipe, mesh: jax.sharding.Mesh) -> dict[str, int]:
    """Returns the bytes that each part of a training step needs on a device, by XLA.

    They include the state, the activations and the gradients, but not what the runtime
    keeps besides (compiled code, the cache of images).
    """
    programs = programs_of(recipe, mesh)
    with jax.set_mesh(mesh):
        return {
            name: compiled_cost(function.lower(*arguments))[0]
            for name, (function, *arguments) in programs.items()
        }


def how_often(recipe: Recipe, program: str) -> float:
    """Returns how often a program runs per step on average; regularisers skip steps."""
    every = {"R1": "r1_every", "path length": "path_every"}.get(program)
    return 1 / getattr(recipe, every) if every else 1.0


def describe(config: TrainingRun, recipe: Recipe, mesh: jax.sharding.Mesh) -> str:
    """Describes devices, batch, parameters and steps in one line.

    Args:
        config: the config of the run.
        recipe: its recipe.
        mesh: the devices.
    """
    state = abstract_state(recipe, mesh)
    device = mesh.devices.flat[0].device_kind
    return (
        f"{mesh.size} x {device}, batch size {batch_split(recipe, mesh)}, "
        f"{count_parameters(state.generator):,} + "
        f"{count_parameters(state.discriminator):,} parameters, "
        f"{config.training.steps:,} steps"
    )


def batch_split(recipe: Recipe, mesh: jax.sharding.Mesh) -> str:
    """Describes each batch size of a run as `N = processes x devices x each`."""
    processes = jax.process_count()
    local = mesh.size // processes
    devices = (
        f"{processes} {'process' if processes == 1 else 'processes'} x "
        f"{local} {'device' if local == 1 else 'devices'}"
    )
    plans = [recipe.batch_at(step) for step in recipe.first_steps()]
    changes = plans[:1] + [
        plan for before, plan in itertools.pairwise(plans) if plan.size != before.size
    ]
    return ", ".join(
        f"{plan.size} = {devices} x {plan.size // mesh.size}"
        + (f" from {plan.resolution} pixels on" if len(changes) > 1 else "")
        for plan in changes
    )


def growing(recipe: Recipe) -> str:
    """Returns the line of the plan about growing; "" for a network of fixed size."""
    steps = recipe.first_steps()
    if len(steps) == 1:
        return ""
    sizes = ", ".join(str(recipe.batch_at(step).resolution) for step in steps)
    starts = ", ".join(f"{step:,}" for step in steps)
    return f"\n  growing        {sizes} pixels from step {starts}"


def print_plan(
    config: TrainingRun,
    recipe: Recipe,
    mesh: jax.sharding.Mesh,
    images: data.ImageSet,
    num_images: int,
) -> None:
    """Prints devices, images, batch, parameters, steps, memory and time.

    Args:
        config: the config of the run.
        recipe: its recipe.
        mesh: the devices.
        images: the first of the training images.
        num_images: number of all training images.
    """
    state, family = abstract_state(recipe, mesh), recipe.family
    shares = ", ".join(
        f"G^{member} {weight:.3f}" for member, weight in enumerate(family.weights)
    )
    seen = recipe.batch_at(config.training.steps).start
    keep, keep_every = config.checkpoint.keep, config.checkpoint.keep_every
    also = f", and those at every {keep_every:,}" if keep_every else ""
    distributed.say(
        f"""training plan
  devices        {mesh.size} x {mesh.devices.flat[0].device_kind}
  images         {images.describe(num_images)}, {config.resolution} x \
{config.resolution} x {config.channels}, {describe_flips(config)}
  batch size     {batch_split(recipe, mesh)}
  generator      {count_parameters(state.generator):,} parameters
  discriminator  {count_parameters(state.discriminator):,} parameters
  family         {shares} ({config.family.members}), {family}
  steps          {config.training.steps:,} = {seen / 1000:,.1f} thousand images\
{growing(recipe)}
  checkpoints    every {config.checkpoint.every:,} steps, the newest \
{keep} kept{also}"""
    )
    _print_costs(config.training.steps, recipe, mesh)


def _print_costs(steps: int, recipe: Recipe, mesh: jax.sharding.Mesh) -> None:
    """Prints the memory of the largest program, and the time of all steps."""
    work, lowered, running = {}, {}, 0.0
    with jax.set_mesh(mesh):
        for first, following in itertools.pairwise([*recipe.first_steps(), steps]):
            programs = programs_of(recipe, mesh, first)
            for name, (function, *arguments) in programs.items():
                lowered[name] = function.lower(*arguments)
                work[name] = work_of(lowered[name])
                calls = (following - first) * how_often(recipe, name)
                running += calls * work[name].operations / mesh.size
        largest = max(work, key=lambda name: work[name].traffic)
        memory, per_line = compiled_cost(lowered[largest])
    compiling, speed = per_line * sum(w.length for w in work.values()), measured_speed()
    what = f"{steps:,} steps at {duration(running / speed / steps)}"
    line = time_line(running / speed, compiling, what, speed)
    distributed.say(
        f"  memory         {math.ceil(memory / 2**20):,} MiB per device, "
        f"in the {largest} step: weights, optimisers and activations, "
        f"besides what the process itself needs\n  time           {line}"
    )
