"""Times a training step of RTIL against the vanilla step of the same batch.

    python -m benchmarks.training --config stylegan2_faces64:cpu
    python -m benchmarks.training --config pggan_faces64:cpu --batch 12

The steps are those of `train.py`, through the recipe of the config, on random images.
Three contenders take turns: vanilla, RTIL whose members share the batch (the default)
and RTIL with all members enumerated, as the public code trains. Sixteen consecutive
steps are one cycle of the lazy regularisation; ratios are of the sums over whole
cycles. A PGGAN is timed at its full resolution.
"""

import argparse
import importlib
from collections.abc import Callable

import jax
import numpy as np
from ml_collections import ConfigDict

from benchmarks import timing
from benchmarks.machine import Machine
from rtil_jax import devices
from rtil_jax.experiments.training.configured_recipe import build_recipe, resolved
from rtil_jax.experiments.training.several_steps import make_steps, steps_at_once
from rtil_jax.experiments.training.training_images import Resident, read_batch

CYCLE = 16
FAMILIES = {
    "vanilla": ("vanilla", "drawn"),
    "RTIL": ("rtil", "drawn"),
    "RTIL enumerated": ("rtil", "enumerated"),
}


def make_config(name: str, family: str, members: str, batch: int) -> ConfigDict:
    """The config `name:variants` of a family, at another batch size."""
    name, _, variants = name.partition(":")
    module = importlib.import_module(f"configs.{name}")
    config = module.get_config(",".join(filter(None, (variants, family))))
    config.training.batch_size = batch
    config.family.members = members
    if config.architecture == "pggan":
        config.growing = "none"
    return config


def training_step(config: ConfigDict) -> Callable[[], None]:
    """A call trains one step more and waits for it."""
    mesh = devices.data_mesh()
    recipe = build_recipe(resolved(config, mesh.size))
    key = jax.random.key(0)
    batch, size, channels = (
        config.training.batch_size,
        config.resolution,
        config.channels,
    )
    images = jax.random.uniform(key, (batch, size, size, channels), minval=-1.0)
    now = {"state": jax.jit(recipe.fresh_state)(key), "step": 0}

    def step():
        now["state"], _ = recipe.train_step(now["state"], images, key, now["step"])
        jax.block_until_ready(now["state"])
        now["step"] += 1

    return step


def training_cycle(config: ConfigDict) -> Callable[[], None]:
    """A call trains `CYCLE` steps, in one program on GPUs as `train.py`, and waits."""
    mesh = devices.data_mesh()
    run = resolved(config, mesh.size)
    recipe, key = build_recipe(run), jax.random.key(0)
    shape = (1024, run.resolution, run.resolution, run.channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    images = Resident(jax.device_put(pixels, devices.replicated(mesh)))
    at_once = steps_at_once(recipe, images) if jax.default_backend() != "cpu" else 1
    now = {"state": jax.jit(recipe.fresh_state)(key), "step": 0}

    def cycle():
        end = now["step"] + CYCLE
        while now["step"] < end:
            step = now["step"]
            if at_once > 1:
                given = now["state"], images, key, step, at_once, 0
                now["state"], _ = make_steps(run, recipe, *given)
            else:
                batch = read_batch(run, recipe, images, step, 0)
                now["state"], _ = recipe.train_step(now["state"], batch, key, step)
            now["step"] += at_once
        jax.block_until_ready(now["state"])

    return cycle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="stylegan2_faces64:cpu")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--cycles", type=int, default=1)
    arguments = parser.parse_args()

    print(f"{Machine.measure()}\n")
    contenders = {
        name: (
            training_step(make_config(arguments.config, *family, arguments.batch)),
            arguments.batch,
        )
        for name, family in FAMILIES.items()
    }
    # The first call compiles what a cycle needs: step 0 has every regulariser.
    times = timing.alternate(contenders, CYCLE * arguments.cycles, warm_up=1)
    header = ["config", "batch", "contender", "images/s", "/ vanilla", "round by round"]
    header += ["CPU ms per image", "/ vanilla", "first call, s"]
    base, rows = times["vanilla"], []
    for name, taken in times.items():
        rows.append(
            [
                *(arguments.config, arguments.batch, name),
                f"{1 / np.mean(taken.wall):.1f}",
                f"{taken.wall.sum() / base.wall.sum():.2f}",
                timing.ratio(taken.wall, base.wall),
                f"{1e3 * np.mean(taken.cpu):.1f}",
                f"{taken.cpu.sum() / base.cpu.sum():.2f}",
                f"{taken.first:.1f}",
            ]
        )
    print(timing.table(header, rows))


if __name__ == "__main__":
    main()
