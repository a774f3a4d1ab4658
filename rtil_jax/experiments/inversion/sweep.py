"""The program `invert.py`: parses, loads, checks, inverts what is missing, reports.

images x priors x ratios -> measurements -> reconstructions -> rows -> report
"""

import contextlib
import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array
from ml_collections import ConfigDict
from tqdm import tqdm

from rtil_jax import data
from rtil_jax.arguments import changed_arguments
from rtil_jax.experiments.compiling import Abandoned, compile_ahead
from rtil_jax.experiments.inversion.batch_sizes import with_batch_size
from rtil_jax.experiments.inversion.examining import examined
from rtil_jax.experiments.inversion.inputs import (
    check_fit,
    image_arguments,
    image_shape,
    load_distances,
    load_priors,
    perceptual_loss,
    prior_of,
)
from rtil_jax.experiments.inversion.inversion_entries import Entry
from rtil_jax.experiments.inversion.inversion_plan import print_plan
from rtil_jax.experiments.inversion.inversion_run import (
    InversionRun,
    parse_inversion,
)
from rtil_jax.experiments.inversion.inversion_workdir import (
    check_images,
    check_workdir,
    claim_workdir,
    make_workdir,
    record_images,
)
from rtil_jax.experiments.inversion.measuring import from_range, problem_of
from rtil_jax.experiments.inversion.noise_levels import describe_noise, noise_record
from rtil_jax.experiments.inversion.overlap import seen_in_training
from rtil_jax.experiments.inversion.quality import evaluate, load_metric
from rtil_jax.experiments.inversion.reporting import write_report
from rtil_jax.experiments.inversion.results import Results, save_batch
from rtil_jax.experiments.inversion.shards import ALL, Shard
from rtil_jax.experiments.inversion.stopwatch import Stopwatch
from rtil_jax.experiments.inversion.work import divide
from rtil_jax.experiments.measurements.loading import (
    config_of,
    load_measured,
    with_truth,
)
from rtil_jax.experiments.measurements.measured import Measured, Subjects
from rtil_jax.experiments.stopping import Stopping, nothing_to_save
from rtil_jax.files import local_path
from rtil_jax.inversion.inverting import invert
from rtil_jax.inversion.perceptual_loss import PerceptualLoss
from rtil_jax.inversion.progress_bar import display
from rtil_jax.inversion.reconstruction import Reconstruction
from rtil_jax.inversion.units import prior_for
from rtil_jax.inversion.without_prior import is_baseline
from rtil_jax.locks import owned
from rtil_jax.metrics.perceptual import Perceptual
from rtil_jax.operators.interface import ImageShape
from rtil_jax.priors.prior import Prior
from rtil_jax.progress import progress


def run_sweep(
    config: ConfigDict,
    workdir: str,
    dry_run: bool = False,
    command: str = "",
    shard: Shard = ALL,
) -> None:
    """Recovers every image with every prior in every setting that is not done yet.

    It writes `results.csv`, `summary.md`, `report.html`, `recovered/*.png`,
    `solutions/*.npz` and `figures/*.png`.

    Args:
        config: from a file of `configs/invert/` or `configs/ablations/`.
        workdir: the directory to write to.
        dry_run: print the plan instead.
        command: the command line, for the record.
        shard: the part of this process. The process that finishes the last part merges
            the results and writes the report.

    Raises:
        UserError: if a config, prior, data set or directory cannot be used.
    """
    workdir = local_path(workdir, "--workdir")
    run = parse_inversion(config)
    priors = load_priors(run.priors)
    shape = image_shape(run.images, priors)
    wanted = image_arguments(run.images, shape)
    measured = None
    if run.measurements:
        measured = measurements_of(run, shape, wanted)
        run = parse_inversion(config_of(config, measured))
    check_fit(run, priors, shape)
    for entry in run.entries:  # once for each prior, not for each batch
        if entry.prior in priors:
            priors[entry.prior] = prior_for(entry.method, priors[entry.prior])
    distances = load_distances(run, shape)
    if dry_run:
        load_metric(run)  # prints a line if LPIPS must be left out
        if measured is not None:
            check_workdir(run, workdir, priors)
            check_images(measured, workdir)
            count = len(measured)
            run = with_batch_size(run, priors, distances, measured, count)
            return print_plan(run, priors, distances, measured, count, shard)
        shown, count = data.probe_images(**wanted)
        check_workdir(run, workdir, priors)
        if data.has_record(workdir):
            check_images(data.load_images(**wanted), workdir)
        run = with_batch_size(run, priors, distances, shown, count)
        return print_plan(run, priors, distances, shown, count, shard)
    with nothing_to_save("SIGTERM", "SIGUSR1"):
        images = data.load_images(**wanted) if measured is None else measured
    make_workdir(workdir)
    with (
        owned(workdir, f"lock{shard.suffix}", shard.hint),
        Stopping("batch") as stopping,
    ):
        claim(run, workdir, priors, images, command)
        run = with_batch_size(run, priors, distances, images, len(images))
        recover(run, workdir, priors, images, distances, shard, stopping)
    if stopping.reason:
        print_stopped(stopping.reason)


def measurements_of(
    run: InversionRun, shape: ImageShape, wanted: dict[str, Any]
) -> Measured:
    """Loads the measurements that the config names, with the truth if it is known.

    Args:
        run: the inversion.
        shape: `(height, width, channels)` of the images to recover.
        wanted: the arguments of `data.load_images` for the true images.
    """
    images = run.images
    # The ratio is 1, unless the measurements state theirs.
    problem = ",".join(dict.fromkeys(entry.problem for entry in run.entries))
    given = run.measurements, problem, shape, images.window, images.range, run.operator
    measured = load_measured(*given)
    return with_truth(measured, run.truth, wanted) if run.truth else measured


def claim(
    run: InversionRun,
    workdir: str,
    priors: dict[str, Prior],
    images: Subjects,
    command: str,
) -> None:
    """Records and prints what will be done, if the directory can hold it.

    Args:
        run: the inversion.
        workdir: the directory of its results.
        priors: the priors by name.
        images: the images, or measurements from files.
        command: the command line, for the record.
    """
    check_images(images, workdir)
    snr = noise_record(run, images)
    claim_workdir(run, workdir, priors, command, snr)
    warnings: dict[str, str] = {}
    if not isinstance(images, Measured):
        warnings = seen_in_training(run, images)
    record_images(images, workdir, warnings)
    if isinstance(images, Measured):
        print(f"{images.describe()}, {images.describe_cuts()}")
        print(f"measurements from files: {images.problem} at {images.ratio:g}")
    else:
        cuts = images.describe_cuts()
        print(f"simulates measurements of {images.describe()}, {cuts}")
    noise = {
        (one.label, one.problem): describe_noise(one, run.images.range, snr)
        for one in run.entries
        if one.noise_std or one.noise
    }
    for (label, problem), text in noise.items():
        print(f"{label}, {problem}: noise {text}")
    for warning in warnings.values():
        logging.getLogger("rtil_jax").warning(warning)
    methods = {(one.label, one.prior): one.method for one in run.entries}
    for (label, prior), method in methods.items():
        print(f"{label}, {prior}: {changed_arguments(method)}")


def print_stopped(reason: str) -> None:
    """Prints the last line of a sweep that was stopped.

    Raises:
        KeyboardInterrupt: if Ctrl-C has stopped it.
    """
    if reason == "SIGINT":
        raise KeyboardInterrupt
    print(f"stopped by {reason}; results so far are saved, the same command continues")


def recover(
    run: InversionRun,
    workdir: str,
    priors: dict[str, Prior],
    images: Subjects,
    distances: dict[str, Perceptual],
    shard: Shard,
    stopping: Stopping,
) -> None:
    """Does this process's part of what is missing, and the report after the last part.

    It returns early, with all results on disk, if it is asked to stop.

    Args:
        run: the inversion.
        workdir: the directory of its results.
        priors: the priors by name.
        images: the images, or measurements from files.
        distances: the distances of perceptual losses by name.
        shard: the part of this process.
        stopping: tells whether the run was asked to stop.
    """
    results = Results(workdir, shard)
    lpips = load_metric(run)
    work = divide(run, len(images), shard)
    for number, entry in enumerate(run.entries):
        loss, own = perceptual_loss(entry, distances), work.own(number)
        prior = prior_of(entry, priors, image_shape(run.images, priors))
        invert_missing(run, entry, own, prior, images, loss, lpips, results, stopping)
        if stopping.reason:
            return
    finish(run, workdir, results, images)


def invert_missing(
    run: InversionRun,
    entry: Entry,
    batches: list[range],
    prior: Prior | None,
    images: Subjects,
    perceptual: PerceptualLoss | None,
    lpips: Perceptual | None,
    results: Results,
    stopping: Stopping,
) -> None:
    """Inverts some batches of one entry; saves each before the next begins.

    It returns after the current batch if it is asked to stop, or at once while it
    compiles programs. A batch that was partly done is computed again as a whole,
    because the other images of a batch affect how a reconstruction is rounded.

    Args:
        run: the inversion.
        entry: its method, problem and ratio.
        batches: the indices of the images of each batch.
        prior: the prior; None for a baseline.
        images: the images, or measurements from files.
        perceptual: the perceptual loss, or None.
        lpips: the network of the metric LPIPS, or None.
        results: the rows of `results.csv`.
        stopping: tells whether the run was asked to stop.
    """
    rows = [{"image": image, **entry.key()} for image in images.names]
    missing = [
        [i for i in batch if i < len(rows) and not results.is_done(rows[i], i)]
        for batch in batches
    ]
    to_do = [(b, m) for b, m in zip(batches, missing, strict=True) if m]
    if prior is None:  # a baseline reports each image
        steps = max(map(len, batches), default=0)
    else:
        steps = sum(stage.steps + 1 for stage in entry.method.stages(prior.generator))
        steps *= entry.fits
    label = f"{entry.prior} {entry.label} {entry.problem} {entry.ratio:g}"
    with (
        progress(len(to_do) * steps, label, disable=not to_do) as bar,
        contextlib.suppress(Abandoned),
    ):
        options: dict[str, Any] = {"before": preparation(bar, stopping)}
        options |= {"progress": display(bar), "perceptual": perceptual}
        for batch, absent in to_do:
            found, truth, seconds = invert_batch(
                run, entry, batch, prior, images, options
            )
            options["before"], facts = None, None
            if isinstance(images, Measured):
                indices = np.minimum(batch, len(images) - 1)
                found, facts = examined(run, entry, images, indices, found)
            quality = evaluate(found, truth, lpips)
            done = {
                i: rows[i] | quality[i - batch.start] | {"seconds": seconds}
                for i in absent
            }
            save_batch(results, found, batch.start, done, run.seed, facts)
            results.add(list(done.values()))
            if stopping.reason:
                return


def preparation(bar: tqdm, stopping: Stopping) -> Callable[[dict[str, tuple]], None]:
    """Returns a function that compiles the programs of all stages before they run."""

    def prepare(programs: dict[str, tuple]) -> None:
        compile_ahead(programs, stopping)
        bar.unpause()  # so that the bar's rate ignores compiling

    return prepare


def invert_batch(
    run: InversionRun,
    entry: Entry,
    batch: range,
    prior: Prior | None,
    images: Subjects,
    options: dict[str, Any],
) -> tuple[Reconstruction, Array | np.ndarray | None, float]:
    """Inverts one batch: returns (reconstruction, true images, seconds per image).

    Pixels are in [-1, 1]. The true images are None if they are unknown.

    Args:
        run: the inversion.
        entry: its method, problem and ratio.
        batch: the indices of the images.
        prior: the prior; None for a baseline.
        images: the images, or measurements from files.
        options: further arguments of `invert`.
    """
    # The last batch repeats an image, so that it needs no new program.
    indices = np.minimum(batch, len(images) - 1)
    problem, keys = problem_of(run, entry, images, indices)
    # A baseline has no iterates to select from, and no generator.
    baseline = is_baseline(entry.method)
    select = "measurement" if baseline else entry.select
    with Stopwatch() as watch:
        found = invert(
            entry.method,
            prior,
            jax.block_until_ready(problem),
            keys,
            select=select,
            held_out_fraction=entry.held_out_fraction,
            restarts=entry.restarts,
            finish=entry.finish,
            precision=None if baseline else entry.precision,
            **options,
        )
        found.images.block_until_ready()
    seconds = watch.seconds / len(set(indices))
    limits, truth = run.images.range, problem.truth
    truth = None if truth is None else from_range(truth, limits)
    pixels = from_range(found.images, limits)
    # Not the loss, which is a likelihood for counted photons.
    error = found.squared_error
    found = dataclasses.replace(found, images=pixels, measurement_loss=error)
    return found, truth, seconds


def finish(run: InversionRun, workdir: str, results: Results, images: Subjects) -> None:
    """Writes the report, unless another process still has work to do.

    Args:
        run: the inversion.
        workdir: the directory of its results.
        results: the rows of `results.csv`.
        images: the images, or measurements from files.
    """
    results.reload()
    missing = sum(
        not results.is_done({"image": image, **entry.key()}, index)
        for entry in run.entries
        for index, image in enumerate(images.names)
    )
    if missing:
        print(f"finished; other processes have {missing:,} reconstructions to make")
    else:
        results.merge()
        write_report(run, workdir, results, images)
