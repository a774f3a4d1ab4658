r"""Times how much reading the images adds to a training step.

    python -m benchmarks.loader --config configs/stylegan2_faces64.py \
        --config.data.source=faces64.zip

times training steps that read their images against steps on one batch that stays
where it is, in turns; then reading alone. JAX lets the host read the next batch while
a device computes, so that a GPU waits for none of it; on a CPU both share the cores.
Images that fit in a quarter of the device's memory are kept there, and reading sends
only indices.
"""

import argparse
import sys
import time

import jax
import numpy as np

from benchmarks.timing import table
from rtil_jax import devices
from rtil_jax.cli.config_flags import load_config_file, override, split_overrides
from rtil_jax.experiments.training.configured_recipe import build_recipe, resolved
from rtil_jax.experiments.training.training_images import (
    load_training_images,
    near_devices,
    read_batch,
)

ROUNDS = 7  # of as many steps as R1 has in between


def main() -> None:
    words, overrides = split_overrides(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="as for train.py")
    config = load_config_file(parser.parse_args(words).config, locked=True)
    override(config, overrides, locked=True)
    mesh = devices.data_mesh()
    config = resolved(config, mesh.size)
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
        for _ in range(ROUNDS):
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
    main()
