"""What reading the images costs in a training step.

    python -m benchmarks.loader --config configs/stylegan2_faces64.py \
        --config.data.source=faces64.zip

times training steps that read their images against steps on one batch that stays
where it is, in turns; then reading alone. JAX lets the host read the next batch while
a device computes, so that a GPU waits for none of it; on a CPU both share the cores.
Where the images fit in a quarter of the device's memory, they are there already, and
reading sends indices.
"""

import sys
import time

import jax
import numpy as np
from absl import app, flags
from ml_collections import config_flags

from benchmarks.timing import table
from rtil_jax import devices
from rtil_jax.experiments.training.configured_recipe import build_recipe, resolved
from rtil_jax.experiments.training.training_images import (
    load_training_images,
    near_devices,
    read_batch,
)

CONFIG = config_flags.DEFINE_config_file("config", None, "As for train.py.")
ROUNDS = flags.DEFINE_integer("rounds", 7, "Of as many steps as R1 has in between.")


def main(_: list[str]) -> None:
    mesh = devices.data_mesh()
    config = resolved(CONFIG.value, mesh.size)
    recipe, key = build_recipe(config), jax.random.key(0)
    with jax.set_mesh(mesh):
        images = near_devices(load_training_images(config), mesh)
        state = jax.jit(recipe.fresh_state)(key)
        still = read_batch(config, recipe, images, 0, 0)
        step = 0

        def seconds(read: bool, train: bool) -> float:
            nonlocal state, step
            start, batch = time.perf_counter(), still
            for _ in range(cycle):
                if read:
                    batch = read_batch(config, recipe, images, step, 0)
                if train:
                    state, _ = recipe.train_step(state, batch, key, step)
                step += 1
            jax.block_until_ready((state, batch))
            return (time.perf_counter() - start) / cycle

        cycle = config.training.r1_every or 1
        kinds = {"with reading": (True, True), "without": (False, True)}
        kinds["reading alone"] = (True, False)
        for kind in kinds.values():
            seconds(*kind)  # compiles
        rows = {name: [] for name in kinds}
        for _ in range(ROUNDS.value):
            for name, kind in kinds.items():
                rows[name].append(1e3 * seconds(*kind))
    without = np.median(rows["without"])
    print(f"{type(images).__name__} on {jax.devices()[0].device_kind}")
    shares = [
        [name, f"{np.median(ms):.1f}", f"{np.median(ms) / without:.3f}"]
        for name, ms in rows.items()
    ]
    print(table(["a step", "ms", "/ without"], shares))


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    app.run(main, sys.argv)
