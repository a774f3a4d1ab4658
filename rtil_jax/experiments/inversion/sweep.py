"""What `invert.py` does: reads top to bottom; every file that it writes is here.

images x priors x ratios -> measurements -> reconstructions -> rows -> report
"""

import contextlib
import dataclasses
import logging
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from rtil_jax import data
from rtil_jax.errors import UserError
from rtil_jax.experiments.compiling import Abandoned, compile_ahead
from rtil_jax.experiments.inversion.inversion_checks import check_inversion_config
from rtil_jax.experiments.inversion.inversion_config import build_method
from rtil_jax.experiments.inversion.inversion_plan import print_plan
from rtil_jax.experiments.inversion.inversion_workdir import (
    check_images,
    check_workdir,
    claim_workdir,
    make_workdir,
    record_images,
)
from rtil_jax.experiments.inversion.noise_levels import describe_noise, noise_record
from rtil_jax.experiments.inversion.overlap import seen_in_training
from rtil_jax.experiments.inversion.quality import evaluate, load_metric
from rtil_jax.experiments.inversion.reporting import write_report
from rtil_jax.experiments.inversion.results import KEY, Results, save_picture
from rtil_jax.experiments.inversion.settings import (
    expand,
    from_range,
    labelled,
    load_distances,
    perceptual_loss,
    problem_of,
)
from rtil_jax.experiments.inversion.shards import ALL, Shard
from rtil_jax.experiments.inversion.stopwatch import Stopwatch
from rtil_jax.experiments.inversion.work import divide
from rtil_jax.experiments.stopping import Stopping, nothing_to_save
from rtil_jax.files import local_path
from rtil_jax.inversion.inverting import Reconstruction, invert
from rtil_jax.inversion.perceptual_loss import PerceptualLoss
from rtil_jax.inversion.solutions import save_solution
from rtil_jax.locks import owned
from rtil_jax.metrics.perceptual import Perceptual
from rtil_jax.operators import sample_operator
from rtil_jax.priors import locate
from rtil_jax.priors.prior import Prior, load_prior
from rtil_jax.progress import progress

SHOW_EVERY = 20  # steps; reading the losses waits for the device


def run_sweep(
    config: ConfigDict,
    workdir: str,
    dry_run: bool = False,
    command: str = "",
    shard: Shard = ALL,
) -> None:
    """Reconstructs every image with every prior in every setting, where not yet done.

    Writes `results.csv`, `summary.md`, `recovered/*.png`, `solutions/*.npz` and
    `figures/*.png`.

    Args:
        config: from a file of `configs/invert/` or `configs/ablations/`.
        workdir: the directory to write to.
        dry_run: print the plan instead.
        command: the command line, for the record.
        shard: which of several processes this is. Each does a part; the one that
            leaves nothing to do merges the results and writes the report.

    Raises:
        UserError: for a config, prior, data set or directory that cannot be used.
    """
    workdir = local_path(workdir, "--workdir")
    check_inversion_config(config)
    priors = load_priors(config)
    check_settings(config, priors)
    distances = load_distances(config, priors)
    first = next(iter(priors.values()))
    if dry_run:
        load_metric(config)  # says so if it has to be left out
        shown, count = data.probe_images(**image_arguments(config, first))
        check_workdir(config, workdir, priors)
        if data.has_record(workdir):
            check_images(load_test_images(config, first), workdir)
        return print_plan(config, priors, distances, shown, count, shard)
    with nothing_to_save("SIGTERM", "SIGUSR1"):
        images = load_test_images(config, first)
    make_workdir(workdir)
    with (
        owned(workdir, f"lock{shard.suffix}", shard.hint),
        Stopping("batch") as stopping,
    ):
        check_images(images, workdir)
        snr = noise_record(config, images)
        claim_workdir(config, workdir, priors, command, snr)
        warnings = seen_in_training(config, images)
        record_images(images, workdir, warnings)
        print(f"{images.describe()}, {images.describe_cuts()}")
        print_noise(config, snr)
        for warning in warnings.values():
            logging.getLogger("rtil_jax").warning(warning)
        for label, one in labelled(config).items():
            for name in priors:
                print(f"{label}, {name}: {build_method(one, name)}")
        recover(config, workdir, priors, images, distances, shard, stopping)
    if stopping.reason:
        print_stopped(stopping.reason)


def print_stopped(reason: str) -> None:
    """The last words of a sweep that has been stopped.

    Raises:
        KeyboardInterrupt: if that was what asked for it.
    """
    if reason == "SIGINT":
        raise KeyboardInterrupt
    print(f"stopped by {reason}; what is done is saved, the same command continues")


def print_noise(config: ConfigDict, snr: dict) -> None:
    """What the noise on the measurements is, for each label and problem that has it."""
    lines = {
        f"{label}, {one.problem}: noise {describe_noise(one, snr.get(label))}": None
        for label, one in expand(config)
        if one.noise_std
    }
    for line in lines:
        print(line)


def recover(
    config: ConfigDict,
    workdir: str,
    priors: dict[str, Prior],
    images: data.ImageSet,
    distances: dict,
    shard: Shard,
    stopping: Stopping,
) -> None:
    """This process's part of what is missing, and the report after the last part.

    It returns early, with all that is done on disk, if it is asked to stop.
    """
    results = Results(workdir, shard)
    lpips = load_metric(config)
    work = divide(config, priors, len(images), shard)
    for number, (one, name, setting) in enumerate(work.settings):
        loss = perceptual_loss(one, name, setting["ratio"], distances)
        own, prior = work.own(number), priors[name]
        invert_missing(one, results, images, setting, own, prior, loss, lpips, stopping)
        if stopping.reason:
            return
    finish(config, workdir, results, images, [setting for *_, setting in work.settings])


def finish(
    config: ConfigDict,
    workdir: str,
    results: Results,
    images: data.ImageSet,
    settings: list[dict],
) -> None:
    """The report, unless another process has work to do."""
    results.reload()
    missing = sum(
        not results.is_done({"image": image, **setting}, index)
        for setting in settings
        for index, image in enumerate(images.names)
    )
    if missing:
        print(f"finished; {missing:,} reconstructions are other processes' to make")
    else:
        results.merge()
        write_report(config, workdir, results, images)


def check_settings(config: ConfigDict, priors: dict[str, Prior]) -> None:
    """Raises UserError if a method or a ratio does not fit a prior's generator."""
    key = jax.random.key(0)
    for _, one in expand(config):
        for name, prior in priors.items():
            build_method(one, name).stages(prior.generator)
            for ratio in one.ratios:
                jax.eval_shape(
                    lambda one=one, prior=prior, ratio=ratio: sample_operator(
                        one.problem, key, prior.image_shape, float(ratio)
                    )
                )


def load_priors(config: ConfigDict) -> dict[str, Prior]:
    """The priors by name; all make images of the same shape.

    Raises:
        UserError: if one cannot be loaded, or they differ in shape.
    """
    named = {name: path for name, path in config.priors.items() if path}
    for name, path in named.items():
        locate(path, f"config.priors.{name}")
    priors = {name: load_prior(path) for name, path in named.items()}
    first, *others = priors
    for name in others:
        found, shape = priors[name].image_shape, priors[first].image_shape
        if found != shape:
            raise UserError(
                f"config.priors.{name}: found images of shape {found}, "
                f"expected {shape} as those of config.priors.{first}"
            )
    return priors


def load_test_images(config: ConfigDict, prior: Prior) -> data.ImageSet:
    """The images to recover, at the size and channels of the prior's."""
    return data.load_images(**image_arguments(config, prior))


def image_arguments(config: ConfigDict, prior: Prior) -> dict[str, Any]:
    """Of `data.load_images`, for the images to recover."""
    return dict(
        source=config.images.source,
        split=config.images.split,
        resolution=prior.generator.resolution,
        channels=prior.generator.channels,
        cache_dir=config.images.cache_dir or None,
        count=config.images.count or None,
        window=tuple(config.images.window),
    )


def invert_missing(
    config: ConfigDict,
    results: Results,
    images: data.ImageSet,
    setting: dict,
    batches: list[range],
    prior: Prior,
    perceptual: PerceptualLoss | None,
    lpips: Perceptual | None,
    stopping: Stopping,
) -> None:
    """Some batches of one setting; each is on disk before the next begins.

    It returns after the batch at hand if it is asked to stop, and at once while
    programs are compiled.

    A batch that was done in part is computed as a whole: what it is computed with
    decides how a reconstruction is rounded.
    """
    method = build_method(config, setting["prior"])
    rows = [{"image": image, **setting} for image in images.names]
    missing = [
        [i for i in batch if i < len(rows) and not results.is_done(rows[i], i)]
        for batch in batches
    ]
    to_do = [(b, m) for b, m in zip(batches, missing, strict=True) if m]
    steps = sum(stage.steps + 1 for stage in method.stages(prior.generator))
    label = " ".join(setting[c] for c in ("prior", "method", "problem"))
    label = f"{label} {setting['ratio']:g}"
    with (
        progress(len(to_do) * steps, label, disable=not to_do) as bar,
        contextlib.suppress(Abandoned),
    ):

        def show(stage, step, loss):
            if step % SHOW_EVERY == 0:
                mean = np.nanmean(np.asarray(loss))
                shown = {"stage": stage, "measurement_mse": f"{mean:.3g}"}
                bar.set_postfix(shown, refresh=False)
            bar.update()

        def prepare(programs):
            numbers = range(1, len(programs) + 1)
            names = [f"stage {number} of {len(programs)}" for number in numbers]
            compile_ahead(programs, names, stopping)
            bar.unpause()  # as if compiling took no time

        for batch, absent in to_do:
            # The last batch repeats an image, so that it does not compile anew.
            indices = np.minimum(batch, len(rows) - 1)
            problem, keys = problem_of(config, images, indices, setting["ratio"])
            with Stopwatch() as watch:
                found = invert(
                    method,
                    prior,
                    jax.block_until_ready(problem),
                    keys,
                    select=config.select,
                    restarts=config.restarts,
                    perceptual=perceptual,
                    progress=show,
                    before=prepare if absent is to_do[0][1] else None,
                )
                found.images.block_until_ready()
            seconds = watch.seconds / len(set(indices))
            truth = from_range(problem.truth, config.images.range)
            pixels = from_range(found.images, config.images.range)
            found = dataclasses.replace(found, images=pixels)
            quality = evaluate(found, truth, lpips)
            done = {
                i: rows[i] | quality[i - batch.start] | {"seconds": seconds}
                for i in absent
            }
            save_batch(results, found, batch.start, done, config.seed)
            results.add(list(done.values()))
            if stopping.reason:
                return


def save_batch(
    results: Results,
    found: Reconstruction,
    first: int,
    rows: dict[int, dict],
    seed: int,
) -> None:
    """The picture and the solution of each image of `rows`, by index.

    `first` is the index of the first image of the batch.
    """
    pixels, solution = jax.device_get((found.images, found.solution))
    for index, row in rows.items():
        at = index - first
        save_picture(results.picture(row, index), pixels[at])
        one = jax.tree.map(lambda x, at=at: x[at : at + 1], solution)
        losses = [(stage, step, losses[at]) for stage, step, losses in found.history]
        history = np.array(losses, np.float32)
        facts = {column: row[column] for column in KEY}
        facts |= {
            "seed": seed,
            "index": index,
            "history": np.array(history, np.float32),
        }
        save_solution(results.solution(row, index), one, **facts)
