"""The training loop, which also writes all files of a training run."""

import contextlib
import dataclasses
import json
import logging
import os

import jax
from ml_collections import ConfigDict

from rtil_jax import data, devices, distributed
from rtil_jax.checkpoints import Checkpoints, has_checkpoint
from rtil_jax.errors import UserError
from rtil_jax.experiments import report
from rtil_jax.experiments.compiling import Abandoned
from rtil_jax.experiments.member_names import member_names
from rtil_jax.experiments.parsing import as_json
from rtil_jax.experiments.stopping import Stopping, nothing_to_save
from rtil_jax.experiments.training.configured_recipe import build_recipe, resolved
from rtil_jax.experiments.training.divergence import (
    Diverged,
    check_finite,
    newest_values,
)
from rtil_jax.experiments.training.metrics_file import MetricsFile
from rtil_jax.experiments.training.programs_ahead import compile_step
from rtil_jax.experiments.training.several_steps import (
    SECTIONS,
    StepsMetrics,
    by_step,
    compile_steps,
    make_steps,
    steps_at_once,
    steps_until_due,
)
from rtil_jax.experiments.training.starting import check_init_from, initial_state
from rtil_jax.experiments.training.tensorboard import (
    Board,
    open_board,
    require_writer,
)
from rtil_jax.experiments.training.training_config import TrainingRun
from rtil_jax.experiments.training.training_images import (
    Resident,
    describe_images,
    load_training_images,
    near_devices,
    probe_training_images,
    read_batch,
)
from rtil_jax.experiments.training.training_plan import describe, print_plan
from rtil_jax.experiments.training.training_workdir import (
    check_images,
    check_workdir,
    make_folders,
    record_config,
    record_images,
    writing,
)
from rtil_jax.files import local_path
from rtil_jax.locks import owned
from rtil_jax.progress import progress as progress_bar
from rtil_jax.provenance import provenance
from rtil_jax.training.keys import run_key
from rtil_jax.training.recipe import Metrics, Recipe
from rtil_jax.training.state import Progress, TrainState

TOGETHER = "several processes that train together need --distributed"


def train(
    config: ConfigDict, workdir: str, dry_run: bool = False, command: str = ""
) -> None:
    """Trains for `config.training.steps` steps; continues a run in `workdir`.

    It writes `config.json`, `metrics.jsonl`, `samples/*.png` and `checkpoints/`, and
    `tensorboard/` if `config.log.tensorboard` is set.

    Several processes that train together all call it with the same config and directory
    (see `rtil_jax.distributed`). Process 0 writes the files; each process writes its
    part of a checkpoint.

    A run that is killed at any time and started again ends with the same bits. SIGTERM,
    SIGUSR1, SIGINT and JAX's preemption notice stop it after the current step, which is
    saved; a second SIGINT exits at once.

    Args:
        config: from a file of `configs/`.
        workdir: the directory of the run.
        dry_run: print the plan instead.
        command: the command line, for the record.

    Raises:
        UserError: if a config, data set or directory cannot be used, or training
            diverges.
    """
    workdir = local_path(workdir, "--workdir")
    mesh = devices.data_mesh()
    parsed = resolved(config, mesh.size)
    if parsed.log.tensorboard:
        require_writer()
    recipe = build_recipe(parsed)
    check_workdir(parsed, workdir)
    if parsed.init_from and not has_checkpoint(workdir):
        check_init_from(parsed, recipe, mesh)
    if dry_run:
        shown, count = probe_training_images(parsed)
        if data.has_record(workdir):
            check_images(load_training_images(parsed), workdir)
        return print_plan(parsed, recipe, mesh, shown, count)
    with nothing_to_save():
        images = load_training_images(parsed)
    distributed.require_alike("--config", json.dumps(as_json(parsed)))
    distributed.require_alike("config.data.source", images.fingerprint)
    check_images(images, workdir)
    make_folders(workdir)
    with (
        owned(workdir, hint=TOGETHER)
        if distributed.is_lead()
        else contextlib.nullcontext(),
        jax.set_mesh(mesh),
        Checkpoints(
            workdir, parsed.checkpoint.keep, parsed.checkpoint.keep_every
        ) as checkpoints,
    ):
        # Another run may have started here while the images were prepared.
        check_workdir(parsed, workdir)
        check_images(images, workdir)
        distributed.say(describe(parsed, recipe, mesh))
        distributed.say(describe_images(parsed, images))
        with Stopping() as stopping, contextlib.suppress(Abandoned):
            run_through_divergence(
                parsed,
                recipe,
                images,
                checkpoints,
                workdir,
                stopping,
                command,
            )
        step = checkpoints.latest_step() or 0
    print_end(parsed, workdir, step, stopping.reason)


def print_end(
    config: TrainingRun, workdir: str, step: int, stopped: str | None
) -> None:
    """Prints the last lines of a run.

    Args:
        config: the config of the run.
        workdir: its directory.
        step: number of finished steps.
        stopped: the signal that stopped it, or None.
    """
    if not step:
        return distributed.say(
            f"stopped by {stopped} before the first step; the same command starts anew"
        )
    if step < config.training.steps:
        return distributed.say(
            f"stopped by {stopped} after step {step:,}, which is saved; the same "
            "command continues"
        )
    distributed.say(f"finished {step:,} steps; everything is in {workdir}")
    samples = sorted(os.listdir(os.path.join(workdir, "samples")))
    if samples:
        distributed.say(f"samples: {os.path.join(workdir, 'samples', samples[-1])}")


def run_through_divergence(
    config: TrainingRun,
    recipe: Recipe,
    images: data.ImageSet,
    checkpoints: Checkpoints,
    workdir: str,
    stopping: Stopping,
    command: str,
) -> TrainState:
    """Runs the loop; if it diverges, goes back to the last checkpoint and runs again.

    Args:
        config: the config of the run.
        recipe: its recipe.
        images: the training images.
        checkpoints: its checkpoints.
        workdir: its directory.
        stopping: tells whether the run was asked to stop.
        command: the command line, for the record.

    Raises:
        UserError: if training diverges more often than it may go back.
    """
    mesh = jax.sharding.get_mesh()
    state = initial_state(config, recipe, checkpoints, mesh, stopping)
    progress = Progress(**checkpoints.progress())
    # From here on the directory belongs to this config and these images.
    if distributed.is_lead():
        record_config(config, workdir, provenance(command))
        record_images(images, workdir)
    near = near_devices(images, mesh)
    while True:
        try:
            return run(
                config, recipe, state, progress, near, checkpoints, workdir, stopping
            )
        except Diverged as error:
            diverged = error.with_traceback(None)  # its frames would keep the state
        state, progress = go_back(
            config, recipe, progress, diverged, checkpoints, stopping
        )


def go_back(
    config: TrainingRun,
    recipe: Recipe,
    progress: Progress,
    diverged: Diverged,
    checkpoints: Checkpoints,
    stopping: Stopping,
) -> tuple[TrainState, Progress]:
    """Returns the state of the last checkpoint, and skips the images read since.

    The result depends only on that checkpoint and the step: a run that is killed now
    will diverge and go back in the same way.

    Args:
        config: the config of the run.
        recipe: its recipe.
        progress: what the run remembers besides its arrays.
        diverged: the error.
        checkpoints: the checkpoints of the run.
        stopping: tells whether the run was asked to stop.

    Raises:
        UserError: if it may not go back again.
    """
    checkpoints.wait()
    limit, last = config.checkpoint.rollbacks, checkpoints.latest_step()
    if progress.rollbacks >= limit:
        good = "it has no earlier checkpoint"
        if last is not None:
            good = f"the last good checkpoint is {last:,}"
        raise UserError(
            f"{diverged.what}; {good}; with config.checkpoint.rollbacks above {limit} "
            "it goes back and skips images"
        )
    mesh = jax.sharding.get_mesh()
    state = initial_state(config, recipe, checkpoints, mesh, stopping)
    step = int(state.step)
    skipped = recipe.batch_at(diverged.step).start - recipe.batch_at(step).start
    logging.getLogger("rtil_jax").warning(
        "%s; going back to step %s and skipping %s images (%s of at most %s times)",
        diverged.what,
        f"{step:,}",
        f"{skipped:,}",
        progress.rollbacks + 1,
        limit,
    )
    return state, Progress(
        metrics=Progress(**checkpoints.progress()).metrics,
        skipped_images=progress.skipped_images + skipped,
        rollbacks=progress.rollbacks + 1,
    )


def run(
    config: TrainingRun,
    recipe: Recipe,
    state: TrainState,
    progress: Progress,
    images: data.ImageSet | Resident,
    checkpoints: Checkpoints,
    workdir: str,
    stopping: Stopping,
) -> TrainState:
    """Makes steps until the end or until asked to stop; logs, draws samples and saves.

    Args:
        config: the config of the run.
        recipe: its recipe.
        state: the state to start from; its buffers are donated.
        progress: what the run remembers besides its arrays.
        images: the training images.
        checkpoints: the checkpoints of the run.
        workdir: its directory.
        stopping: tells whether the run was asked to stop.

    Raises:
        Diverged: before anything that is not finite is logged or saved.
        UserError: if a file cannot be written.
    """
    first, steps = int(state.step), config.training.steps
    start = recipe.batch_at(first).start
    metrics_file = MetricsFile(workdir, first, start, progress.metrics)
    key = run_key(config.seed, progress.skipped_images)
    at_once = steps_at_once(recipe, images)
    unread: list[Metrics | StepsMetrics] = []
    metrics: Metrics | StepsMetrics

    def checked(done: int) -> dict:
        metrics = by_step(unread)
        newest = newest_values(metrics, done - len(metrics), config)
        check_finite(state, config)
        checkpoints.check()
        return newest

    def save_state(done: int, newest: dict) -> None:
        now = dataclasses.replace(progress, metrics=metrics_file.latest | newest)
        checkpoints.save(done, state, as_json(config), **dataclasses.asdict(now))

    bar = progress_bar(
        steps, "training", initial=first, disable=not distributed.is_lead()
    )
    watched = config.log.tensorboard and distributed.is_lead()
    with bar, open_board(workdir, first, watched) as board:
        done = first
        while done < steps:
            step, count = done, steps_until_due(config, done, at_once)
            if step in (first, *recipe.first_steps()):
                try:
                    if at_once > 1:
                        compile_steps(config, recipe, state, images, key, stopping)
                    else:
                        compile_step(recipe, state, key, step, stopping)
                except Abandoned:
                    if checkpoints.latest_step() != step > first:
                        save_state(step, checked(step))
                    break
                bar.unpause()  # so that the bar's rate ignores compiling
            skipped = progress.skipped_images
            if at_once > 1:
                given = images, key, step, count, skipped
                state, metrics = make_steps(config, recipe, state, *given)
            else:
                batch = read_batch(config, recipe, images, step, skipped)
                state, metrics = recipe.train_step(state, batch, key, step)
            bar.update(count)
            done = step + count
            stop = stopping.asked(done)
            log, sample, save = (due(config, done, what) for what in SECTIONS)
            written = log or save
            unread.append(metrics | recipe.measure(state) if written else metrics)
            if written or stop:
                newest = checked(done)
                unread.clear()
            if written:
                line = metrics_file.write(done, recipe.batch_at(done).start, newest)
                board.scalars(done, line)
                shown = {k: f"{line[k]:.2f}" for k in ("d_loss", "g_loss")}
                bar.set_postfix(shown, refresh=False)
            if sample:
                save_samples(config, recipe, state, workdir, board)
            if save or stop:
                save_state(done, newest)
            if stop:
                break
    checkpoints.wait()
    return state


def due(config: TrainingRun, done: int, section: str) -> bool:
    """Tells whether `config.SECTION.every` asks for something after `done` steps.

    Args:
        config: the config of the run.
        done: number of finished steps.
        section: `log`, `sample` or `checkpoint`.
    """
    return done == config.training.steps or done % getattr(config, section).every == 0


def save_samples(
    config: TrainingRun, recipe: Recipe, state: TrainState, workdir: str, board: Board
) -> None:
    """Writes `samples/STEP.png`, with a row per member of the family under its name.

    All pictures of a run show the same inputs. If several processes train together, all
    of them compute the samples, because a program must run on all devices.

    Args:
        config: the config of the run.
        recipe: its recipe.
        state: the state after a step.
        workdir: the directory of the run.
        board: writes the picture for TensorBoard too.
    """
    step = int(state.step)
    rows = recipe.sample(state.ema, step, config.sample.columns)
    if not distributed.is_lead():
        return
    path = os.path.join(workdir, "samples", f"{step:07d}.png")
    with writing(path):
        report.sample_grid(member_names(recipe.family), rows, path)
    board.picture(step, path)
