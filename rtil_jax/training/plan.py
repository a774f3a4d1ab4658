"""What a training run says about itself: its first line, and all of `--dry_run`."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from rtil_jax import devices
from rtil_jax.training import stylegan2
from rtil_jax.training.state import TrainState
from rtil_jax.training.stylegan2 import StyleGAN2Recipe

# Buffers are assigned before machine code is written, which is most of a compilation.
_QUICK = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}


def count_parameters(tree) -> int:
    """Number of scalars in a pytree of arrays or shapes."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def abstract_state(recipe: StyleGAN2Recipe, mesh: jax.sharding.Mesh) -> TrainState:
    """Shapes of the state, replicated over the devices, without computing it."""
    sharding = devices.replicated(mesh)
    create = functools.partial(stylegan2.fresh_state, recipe)
    state = jax.eval_shape(create, jax.random.key(0))
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        state,
    )


def program_memory(function: Any, *arguments: Any) -> int:
    """Bytes of a jitted function's arguments and temporaries on one device."""
    memory = function.lower(*arguments).compile(_QUICK).memory_analysis()
    return memory.argument_size_in_bytes + memory.temp_size_in_bytes


def step_memory(recipe: StyleGAN2Recipe, mesh: jax.sharding.Mesh) -> dict[str, int]:
    """Bytes that each part of a training step needs on one device: XLA's own analysis.

    The state, the activations and the gradients. What the runtime keeps beside them
    (compiled code, the images' cache) is not in it.
    """
    generator, state = recipe.generator, abstract_state(recipe, mesh)
    key = jax.eval_shape(lambda: jax.random.key(0))
    images = jax.ShapeDtypeStruct(
        (recipe.batch_size, generator.resolution, generator.resolution)
        + (generator.channels,),
        jnp.float32,
        sharding=devices.batch_sharded(mesh),
    )
    parts = {
        "discriminator": (stylegan2.jit_discriminator, images, key),
        "generator": (stylegan2.jit_generator, key),
    }
    if recipe.r1_every:
        parts["R1"] = (stylegan2.jit_r1, images)
    if recipe.path_every:
        parts["path length"] = (stylegan2.jit_path_length, key)
    with jax.set_mesh(mesh):
        return {
            name: program_memory(step, recipe, state, *arguments)
            for name, (step, *arguments) in parts.items()
        }


def describe(
    config: ConfigDict, recipe: StyleGAN2Recipe, mesh: jax.sharding.Mesh
) -> str:
    """Devices, batch, parameters and steps, in one line."""
    state = abstract_state(recipe, mesh)
    device = mesh.devices.flat[0].device_kind
    return (
        f"{mesh.size} x {device}, batch size {batch_split(recipe, mesh)}, "
        f"{count_parameters(state.generator):,} + "
        f"{count_parameters(state.discriminator):,} parameters, "
        f"{config.training.steps:,} steps"
    )


def batch_split(recipe: StyleGAN2Recipe, mesh: jax.sharding.Mesh) -> str:
    """`N = processes x devices x each`."""
    batch, processes = recipe.batch_size, jax.process_count()
    local = mesh.size // processes
    return (
        f"{batch} = {processes} {'process' if processes == 1 else 'processes'} x "
        f"{local} {'device' if local == 1 else 'devices'} x {batch // mesh.size}"
    )


def print_plan(
    config: ConfigDict, recipe: StyleGAN2Recipe, mesh: jax.sharding.Mesh
) -> None:
    """Devices, batch, parameters, steps and memory."""
    state, family = abstract_state(recipe, mesh), recipe.family
    shares = ", ".join(
        f"G^{member} {weight:.3f}" for member, weight in enumerate(family.weights)
    )
    images = config.training.steps * recipe.batch_size
    print(
        f"""training plan
  devices        {mesh.size} x {mesh.devices.flat[0].device_kind}
  images         {config.data.source} [{config.data.split}], \
{config.resolution} x {config.resolution} x {config.channels}
  batch size     {batch_split(recipe, mesh)}
  generator      {count_parameters(state.generator):,} parameters
  discriminator  {count_parameters(state.discriminator):,} parameters
  family         {shares} ({config.family.members}), sigma {family.sigma}, \
after blocks {family.blocks}
  steps          {config.training.steps:,} = {images / 1000:,.1f} thousand images
  checkpoints    every {config.checkpoint.every:,} steps, the newest \
{config.checkpoint.keep} kept""",
        flush=True,
    )
    memory = step_memory(recipe, mesh)
    largest = max(memory, key=memory.get)
    print(
        f"  memory         {math.ceil(memory[largest] / 2**20):,} MiB per device, "
        f"in the {largest} step: weights, optimisers and activations, "
        f"besides what the process itself needs"
    )
