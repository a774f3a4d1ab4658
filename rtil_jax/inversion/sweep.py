"""What `invert.py` does: reads top to bottom; every file that it writes is here.

images x priors x ratios -> measurements -> reconstructions -> rows -> report
"""

import os
import time

import jax
import numpy as np
from jaxtyping import Array
from ml_collections import ConfigDict
from tqdm import tqdm

from rtil_jax import data, metrics, report
from rtil_jax.errors import UserError
from rtil_jax.inversion.defaults import build_method, check_inversion_config
from rtil_jax.inversion.inverting import Method, Reconstruction, invert
from rtil_jax.inversion.plan import print_plan
from rtil_jax.inversion.prior import Prior, load_prior
from rtil_jax.inversion.problems import Problem, make_problem
from rtil_jax.inversion.results import (
    Results,
    read_picture,
    save_picture,
)
from rtil_jax.inversion.solutions import save_solution
from rtil_jax.inversion.workdir import claim_workdir
from rtil_jax.operators import sample_operator
from rtil_jax.perceptual import Perceptual, load_lpips
from rtil_jax.perceptual.networks import LEAST_SIZE

MIN_SSIM_SIZE = 11
SHOW_EVERY = 20  # steps; reading the losses waits for the device


def run_sweep(config: ConfigDict, workdir: str, dry_run: bool = False) -> None:
    """Reconstructs every image with every prior at every ratio, where not yet done.

    Writes `results.csv`, `summary.md`, `recovered/*.png`, `solutions/*.npz` and
    `figures/*.png`.

    Raises:
        UserError: for a config, prior, data set or directory that cannot be used.
    """
    check_inversion_config(config)
    priors = load_priors(config)
    methods = {name: build_method(config, name) for name in priors}
    for name, prior in priors.items():
        check_setting(config, prior, methods[name])
    if dry_run:
        return print_plan(config, priors, methods)
    images = load_test_images(config, next(iter(priors.values())))
    claim_workdir(config, workdir, priors)
    results = Results(workdir)
    lpips = load_metric(config)
    for name, method in methods.items():
        print(f"{name}: {method}")
    for ratio in config.ratios:
        for name, prior in priors.items():
            setting = setting_of(config, name, ratio)
            invert_missing(
                config, results, images, setting, prior, methods[name], lpips
            )
    write_report(config, workdir, results, images)


def check_setting(config: ConfigDict, prior: Prior, method: Method) -> None:
    """Raises UserError if the method or a ratio does not fit the prior's generator."""
    method.stages(prior.generator)
    key = jax.random.key(0)
    for ratio in config.ratios:
        jax.eval_shape(
            lambda ratio=ratio: sample_operator(
                config.problem, key, prior.image_shape, float(ratio)
            )
        )


def load_priors(config: ConfigDict) -> dict[str, Prior]:
    """The priors by name; all make images of the same shape.

    Raises:
        UserError: if one cannot be loaded, or they differ in shape.
    """
    named = {name: path for name, path in config.priors.items() if path}
    priors = {name: load_prior(path) for name, path in named.items()}
    first, *others = priors
    for name in others:
        found, expected = priors[name].image_shape, priors[first].image_shape
        if found != expected:
            raise UserError(
                f"config.priors.{name}: found images of shape {found}, "
                f"expected {expected} as those of config.priors.{first}"
            )
    return priors


def load_test_images(config: ConfigDict, prior: Prior) -> data.ImageSet:
    """The images to recover, at the size and channels of the prior's."""
    return data.load_images(
        config.images.source,
        config.images.split,
        resolution=prior.generator.resolution,
        channels=prior.generator.channels,
        cache_dir=config.images.cache_dir or None,
        count=config.images.count or None,
    )


def problem_of(
    config: ConfigDict, images: data.ImageSet, indices: np.ndarray, ratio: float
) -> tuple[Problem, jax.Array]:
    """The measurements of some images, and the keys of their inversions."""
    return make_problem(
        config.problem,
        data.to_float(images[indices]),
        indices,
        ratio=float(ratio),
        seed=config.seed,
        noise_std=config.noise_std,
    )


def setting_of(config: ConfigDict, prior: str, ratio: float) -> dict:
    """What the rows of one prior at one ratio share."""
    return {
        "prior": prior,
        "method": config.method.name,
        "problem": config.problem,
        "ratio": float(ratio),
        "select": config.select,
    }


def invert_missing(
    config: ConfigDict,
    results: Results,
    images: data.ImageSet,
    setting: dict,
    prior: Prior,
    method: Method,
    lpips: Perceptual | None,
) -> None:
    """One setting, in batches; each batch is on disk before the next begins."""
    rows = [{"image": image, **setting} for image in images.names]
    missing = [i for i, row in enumerate(rows) if not results.is_done(row, i)]
    size = max(1, min(config.batch_size, len(missing)))
    batches = [missing[i : i + size] for i in range(0, len(missing), size)]
    steps = sum(stage.steps + 1 for stage in method.stages(prior.generator))
    label = f"{setting['prior']} {setting['problem']} {setting['ratio']:g}"
    with tqdm(total=len(batches) * steps, desc=label, disable=not batches) as bar:

        def show(stage, step, loss):
            if step % SHOW_EVERY == 0:
                mean = np.nanmean(np.asarray(loss))
                bar.set_postfix(stage=stage, measurement_mse=f"{mean:.3g}")
            bar.update()

        for batch in batches:
            # The last batch repeats an image, so that it does not compile anew.
            padded = np.pad(batch, (0, size - len(batch)), mode="edge")
            started = time.perf_counter()
            problem, keys = problem_of(config, images, padded, setting["ratio"])
            found = invert(
                method,
                prior,
                problem,
                keys,
                select=config.select,
                restarts=config.restarts,
                progress=show,
            )
            found.images.block_until_ready()
            seconds = (time.perf_counter() - started) / size
            quality = evaluate(found, problem.truth, lpips)[: len(batch)]
            done = [
                rows[i] | values | {"seconds": seconds}
                for i, values in zip(batch, quality, strict=True)
            ]
            save_batch(results, found, done, batch, config.seed)
            results.add(done)


def load_metric(config: ConfigDict) -> Perceptual | None:
    """LPIPS as a metric; without its weights the column stays empty."""
    if not config.lpips:
        return None
    try:
        return load_lpips(config.lpips)
    except UserError as error:
        print(f"LPIPS is left out: {error}")
        return None


def evaluate(
    found: Reconstruction, truth: Array, lpips: Perceptual | None
) -> list[dict]:
    """Quality of each image, clipped; PSNR and SSIM of pixels in [0, 1]."""
    count = len(found.status)
    clipped = [np.clip(images, -1, 1) for images in (found.images, truth)]
    x, y = ((images + 1) / 2 for images in clipped)
    size, left_out = min(x.shape[1:3]), np.full(count, np.nan)
    quality = {
        "psnr": metrics.psnr(x, y),
        "ssim": metrics.ssim(x, y) if size >= MIN_SSIM_SIZE else left_out,
        "lpips": left_out,
        "measurement_mse": found.measurement_loss,
    }
    if lpips and size >= LEAST_SIZE:
        quality["lpips"] = _distance(lpips, *clipped)
    return [
        {name: float(values[i]) for name, values in quality.items()}
        | {"status": found.status[i]}
        for i in range(count)
    ]


_distance = jax.jit(lambda lpips, x, y: lpips(x, y))


def save_batch(
    results: Results,
    found: Reconstruction,
    rows: list[dict],
    indices: list[int],
    seed: int,
) -> None:
    """The picture and the solution of each image of `rows`."""
    pixels, solution = jax.device_get((found.images, found.solution))
    for i, (row, index) in enumerate(zip(rows, indices, strict=True)):
        save_picture(results.picture(row, index), pixels[i])
        one = jax.tree.map(lambda x, i=i: x[i : i + 1], solution)
        facts = {k: row[k] for k in ("image", "prior", "method", "problem", "ratio")}
        path = results.solution(row, index)
        save_solution(path, one, **facts, seed=seed, index=index)


def write_report(
    config: ConfigDict, workdir: str, results: Results, images: data.ImageSet
) -> None:
    """`summary.md`, the curves, and a grid of pictures for each ratio of this run."""
    print(f"table     {report.write_summary(workdir)}")
    figures = report.plot_curves(workdir)
    figures += [
        draw_grid(config, workdir, results, images, ratio) for ratio in config.ratios
    ]
    for figure in figures:
        print(f"figure    {figure}")
    print(f"pictures  {os.path.join(workdir, 'recovered')}")


def draw_grid(
    config: ConfigDict,
    workdir: str,
    results: Results,
    images: data.ImageSet,
    ratio: float,
) -> str:
    """Truth, measurement, and the reconstruction by every prior, side by side."""
    indices = range(min(len(images), report.MAX_GRID_ROWS))
    problem, _ = problem_of(config, images, np.array(indices), ratio)
    preview = jax.vmap(lambda operator, y: operator.preview(y))
    measured = preview(problem.operators, problem.measurements)
    columns, psnr = {"truth": problem.truth, "measurement": measured}, {}
    for prior in results.priors():
        setting = setting_of(config, prior, ratio)
        keys = [{"image": images.names[i], **setting} for i in indices]
        if not all(map(results.is_done, keys, indices)):
            continue  # a prior of an earlier run that had fewer images
        title = f"{prior}, {config.method.name}"
        paths = [results.picture(key, i) for key, i in zip(keys, indices, strict=True)]
        columns[title] = np.stack([data.to_float(read_picture(path)) for path in paths])
        psnr[title] = [results[key]["psnr"] for key in keys]
    stem = f"{config.problem}_{ratio:g}_{config.method.name}_{config.select}"
    path = os.path.join(workdir, "figures", f"{stem}.png")
    report.image_grid(columns, path, psnr)
    return path
