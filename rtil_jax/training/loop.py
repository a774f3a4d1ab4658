"""The training loop: reads top to bottom; what training writes is all written here."""

import os
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool
from ml_collections import ConfigDict
from tqdm import tqdm

from rtil_jax import data, devices, report
from rtil_jax.checkpoints import Checkpoints, load_config, load_weights
from rtil_jax.config import plain, save_config
from rtil_jax.errors import UserError
from rtil_jax.generators.configured import architecture_of
from rtil_jax.training.metrics_file import MetricsFile
from rtil_jax.training.plan import abstract_state, describe, print_plan
from rtil_jax.training.recipe import Recipe
from rtil_jax.training.recipes import build_recipe, resolved
from rtil_jax.training.state import TrainState
from rtil_jax.training.workdir import check_workdir, make_folders


def train(config: ConfigDict, workdir: str, dry_run: bool = False) -> None:
    """Trains until `config.training.steps`, resuming from `workdir` if it can.

    Writes `config.json`, `metrics.jsonl`, `samples/*.png` and `checkpoints/`.

    Raises:
        UserError: for a config, data set or directory that cannot be used, and if
            training diverges.
    """
    mesh = devices.data_mesh()
    config = resolved(config, mesh.size)
    recipe = build_recipe(config)
    if dry_run:
        return print_plan(config, recipe, mesh)

    check_workdir(config, workdir)
    images = load_training_images(config)
    make_folders(workdir)
    print(describe(config, recipe, mesh), flush=True)
    with (
        jax.set_mesh(mesh),
        Checkpoints(workdir, config.checkpoint.keep) as checkpoints,
    ):
        state = initial_state(config, recipe, checkpoints, mesh)
        # From here on the directory belongs to this config.
        save_config(plain(config), os.path.join(workdir, "config.json"))
        state = run(config, recipe, state, images, checkpoints, workdir)
    samples = sorted(os.listdir(os.path.join(workdir, "samples")))
    print(f"finished {int(state.step):,} steps; everything is in {workdir}")
    if samples:
        print(f"samples: {os.path.join(workdir, 'samples', samples[-1])}")


def load_training_images(config: ConfigDict) -> data.ImageSet:
    """The training split, at the config's resolution and channels."""
    return data.load_images(
        config.data.source,
        config.data.split,
        resolution=config.resolution,
        channels=config.channels,
        cache_dir=config.data.cache_dir or None,
        count=config.data.count or None,
    )


def initial_state(
    config: ConfigDict,
    recipe: Recipe,
    checkpoints: Checkpoints,
    mesh: jax.sharding.Mesh,
) -> TrainState:
    """In this order: the run's own checkpoint, `init_from`'s weights, fresh weights."""
    if checkpoints.latest_step() is not None:
        state = checkpoints.restore(abstract_state(recipe, mesh))
        print(f"resuming at step {int(state.step):,}", flush=True)
        return state
    create = jax.jit(recipe.fresh_state, out_shardings=devices.replicated(mesh))
    state = create(jax.random.key(config.seed))
    if config.init_from:
        check_architecture(config)
        state = load_weights(config.init_from, state)
        print(f"starting from the weights of {config.init_from}", flush=True)
    return state


def check_architecture(config: ConfigDict) -> None:
    """Raises UserError if `init_from` has another architecture than the config."""
    found = architecture_of(load_config(config.init_from))
    expected = architecture_of(config)
    if found != expected:
        raise UserError(
            f"config.init_from: found a {found} prior in {config.init_from}, expected "
            f"{expected} (config.architecture)"
        )


def run(
    config: ConfigDict,
    recipe: Recipe,
    state: TrainState,
    images: data.ImageSet,
    checkpoints: Checkpoints,
    workdir: str,
) -> TrainState:
    """Steps until the end; logs, samples and saves on the way.

    Every checkpoint has its line in the metrics file, so that a resumed run knows the
    newest value of what is not measured at every step.
    """
    first, steps = int(state.step), config.training.steps
    metrics_file = MetricsFile(workdir, first, recipe.batch_at(first).start)
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    unlogged = {}

    progress = tqdm(range(first, steps), initial=first, total=steps, desc="training")
    for step in progress:
        batch = read_batch(config, recipe, images, step)
        state, metrics = recipe.train_step(state, batch, key, step)
        unlogged |= metrics
        done = step + 1
        log, sample, save = (
            done == steps or done % config[section].every == 0
            for section in ("log", "sample", "checkpoint")
        )
        if log or save:
            check_finite(state)
            line = metrics_file.write(
                done, recipe.batch_at(done).start, jax.device_get(unlogged)
            )
            progress.set_postfix({k: f"{line[k]:.2f}" for k in ("d_loss", "g_loss")})
            unlogged = {}
        if sample:
            save_samples(config, recipe, state, workdir)
        if save:
            checkpoints.save(done, state, plain(config))
    return state


def read_batch(
    config: ConfigDict, recipe: Recipe, images: data.ImageSet, step: int
) -> Array:
    """The images of one step, split over the devices of the current mesh."""
    plan = recipe.batch_at(step)
    batch = data.training_batch(
        images,
        seed=config.seed,
        start=plan.start,
        batch_size=plan.size,
        flip=config.data.flip,
    )
    batch = data.shrink(batch, plan.resolution)
    return jax.device_put(batch, devices.batch_sharded(jax.sharding.get_mesh()))


def save_samples(
    config: ConfigDict, recipe: Recipe, state: TrainState, workdir: str
) -> None:
    """Writes `samples/STEP.png`: one row per member of the family.

    All pictures of a run show the same inputs.
    """
    step = int(state.step)
    rows = recipe.sample(state.ema, step, config.sample.columns)
    report.sample_grid(rows, os.path.join(workdir, "samples", f"{step:07d}.png"))


def check_finite(state: TrainState) -> None:
    """Raises UserError if a weight is not finite; the last checkpoint is still good."""
    if not all_finite(state):
        raise UserError(
            f"training diverged: weights that are not finite at step "
            f"{int(state.step)}; the last checkpoint is kept"
        )


@jax.jit
def all_finite(tree: Any) -> Bool[Array, ""]:
    """Whether every number in `tree` is finite."""
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]))
