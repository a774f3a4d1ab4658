"""Trains on one and on eight virtual devices, and prints as JSON what came of it.

It is run in a process of its own, whose XLA_FLAGS ask for the devices.
"""

import json
import pathlib

import jax

from benchmarks.collectives import step_programs
from rtil_jax import devices
from rtil_jax.experiments.training.configured_recipe import build_recipe, resolved
from rtil_jax.experiments.training.training_plan import (
    abstract_state,
    count_parameters,
    fresh_state,
)
from tests.training.tiny_run import tiny_config, tiny_pggan_config

STEPS = 4


def recipe_of(config):
    return build_recipe(resolved(config, 8))


def losses(recipe, num_devices):
    """The metrics of the first steps on the same random images."""
    mesh, plan, lines = devices.data_mesh(num_devices), recipe.batch_at(0), []
    shape = (plan.size, plan.resolution, plan.resolution, 3)
    images = jax.random.uniform(jax.random.key(1), shape, minval=-1.0)
    with jax.set_mesh(mesh):
        images = jax.device_put(images, devices.batch_sharded(mesh))
        state = fresh_state(recipe, mesh, jax.random.key(0))
        for step in range(STEPS):
            state, metrics = recipe.train_step(state, images, jax.random.key(2), step)
            lines.append({name: float(value) for name, value in metrics.items()})
    assert all(leaf.is_fully_replicated for leaf in jax.tree.leaves(state))
    return lines


def exchanged(config):
    """(collectives of each program, bytes of each network)."""
    recipe, mesh = recipe_of(config), devices.data_mesh(8)
    state = abstract_state(recipe, mesh)
    networks = {
        name: 4 * count_parameters(getattr(state, name))
        for name in ("generator", "discriminator")
    }
    programs = step_programs(recipe, mesh)
    return {name: each.collectives for name, each in programs.items()}, networks


def main():
    """Where programs are read, devices have whole minibatch-stddev groups, and the
    path-length penalty has fewer images than there are devices."""
    folder = pathlib.Path("unread")
    shrunk = {"training__batch_size": 32, "training__path_batch_shrink": 8}
    one_phase = {"resolution": 8, "growing": "none"}
    # StyleGAN2 is trained on four devices in `test_devices.py`, by `train.py` itself.
    trained = tiny_pggan_config(folder, training__batch_size=24, **one_phase)
    read = {
        "stylegan2": tiny_config(folder, **shrunk),
        "pggan": tiny_pggan_config(
            folder, training__batch_size=32, family__codes=(1,), **one_phase
        ),
    }
    print(
        json.dumps(
            {
                "curves": [losses(recipe_of(trained), count) for count in (1, 8)],
                "exchanged": {name: exchanged(read[name]) for name in read},
            }
        )
    )


if __name__ == "__main__":
    main()
