"""A directory as train.py leaves it, of a network that has not learnt anything."""

import functools
import json

import jax
import jax.numpy as jnp

from rtil_jax import devices
from rtil_jax.checkpoints import Checkpoints
from rtil_jax.experiments.parsing import as_json
from rtil_jax.experiments.training.configured_recipe import build_recipe, resolved
from rtil_jax.experiments.training.training_plan import fresh_state
from rtil_jax.generators import DCGANGenerator, init
from rtil_jax.training.state import TrainState
from tests.references.stylegan2 import random_variables


def write_run(config, directory, step):
    """Saves fresh weights as those of `step` finished steps, at 10 images a second."""
    run = resolved(config, 1)
    recipe = build_recipe(run)
    state = fresh_state(recipe, devices.data_mesh(1), jax.random.key(1))
    with Checkpoints(str(directory), keep=1) as checkpoints:
        checkpoints.save(step, state, as_json(run))
    steps = (step // 2, step, step + 5)  # the last one logged, but not saved
    lines = [json.dumps({"step": at, "images_per_second": 10.0}) for at in steps]
    (directory / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    return state


def write_dcgan(directory, resolution):
    """The smallest prior in colour that there is; its images are noise."""
    sizes = {"base_channels": 2, "latent_dim": 3}
    generator = DCGANGenerator(resolution, **sizes)
    ema = random_variables(functools.partial(init, generator))
    config = {"architecture": "dcgan", "resolution": resolution, "channels": 3}
    state = TrainState(jnp.zeros((), jnp.int32), None, None, None, None, ema)
    with Checkpoints(str(directory), keep=1) as checkpoints:
        checkpoints.save(0, state, config | {"generator": sizes})
    return str(directory)
