"""What an inversion reads: priors, images, and the weights of perceptual losses."""

import functools
from collections.abc import Mapping
from typing import Any

import jax

from rtil_jax.config import require
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inversion_fields import DISTANCES, Images
from rtil_jax.experiments.inversion.inversion_run import Entry, InversionRun
from rtil_jax.inversion.held_out import check_held_out
from rtil_jax.inversion.perceptual_loss import PerceptualLoss
from rtil_jax.metrics.perceptual import Perceptual, load_lpips, load_vgg_l1
from rtil_jax.metrics.perceptual.networks import LEAST_SIZE
from rtil_jax.operators import sample_operator
from rtil_jax.priors import locate
from rtil_jax.priors.prior import Prior, load_prior


def load_priors(sources: Mapping[str, str]) -> dict[str, Prior]:
    """The priors by name; all make images of the same shape.

    Raises:
        UserError: if one cannot be loaded, or they differ in shape.
    """
    named = {name: source for name, source in sources.items() if source}
    for name, source in named.items():
        locate(source, f"config.priors.{name}")
    priors = {name: load_prior(source) for name, source in named.items()}
    first, *others = priors
    for name in others:
        found, shape = priors[name].image_shape, priors[first].image_shape
        if found != shape:
            raise UserError(
                f"config.priors.{name}: found images of shape {found}, "
                f"expected {shape} as those of config.priors.{first}"
            )
    return priors


def check_fit(run: InversionRun, priors: dict[str, Prior]) -> None:
    """Raises UserError if a method or a ratio does not fit a prior's generator."""
    key = jax.random.key(0)
    for method, name in dict.fromkeys((one.method, one.prior) for one in run.entries):
        method.stages(priors[name].generator)
    for one in run.entries:
        if one.select == "held_out":
            stages = one.method.stages(priors[one.prior].generator)
            check_held_out(stages, one.perceptual)
    shape = next(iter(priors.values())).image_shape  # that of all
    measured = dict.fromkeys((one.problem, one.ratio) for one in run.entries)
    for problem, ratio in measured:
        jax.eval_shape(functools.partial(sample_operator, problem, key, shape, ratio))


def image_arguments(images: Images, prior: Prior) -> dict[str, Any]:
    """Of `data.load_images`, for the images at the size and channels of the prior's."""
    return dict(
        source=images.source,
        split=images.split,
        resolution=prior.generator.resolution,
        channels=prior.generator.channels,
        cache_dir=images.cache_dir or None,
        count=images.count or None,
        window=images.window,
    )


def load_distances(
    run: InversionRun, priors: dict[str, Prior]
) -> dict[str, Perceptual]:
    """Name -> the distance of every perceptual loss among the entries.

    Raises:
        UserError: if there are no weights, or the priors' images are too small.
    """
    size = min(min(prior.image_shape[:2]) for prior in priors.values())
    needed = {entry.perceptual.distance for entry in run.entries if entry.perceptual}
    for name in needed:
        require(
            size >= LEAST_SIZE,
            "perceptual.distance",
            name,
            f"'' for images of {size} pixels (its network needs {LEAST_SIZE})",
        )
    return {name: _load_distance(run, name) for name in sorted(needed)}


def _load_distance(run: InversionRun, name: str) -> Perceptual:
    path = getattr(run.perceptual_files, DISTANCES[name]) or None
    try:
        return load_lpips("vgg", path) if name == "lpips" else load_vgg_l1(path)
    except UserError as error:
        raise UserError(
            f"config.perceptual.distance={name}: {error} "
            f"(--config.perceptual_files.{DISTANCES[name]}=FILE); "
            "--config.perceptual.distance= leaves it out"
        ) from error


def perceptual_loss(
    entry: Entry, distances: dict[str, Perceptual]
) -> PerceptualLoss | None:
    """The perceptual loss of an entry; None without."""
    if entry.perceptual is None:
        return None
    name, weight, fill = entry.perceptual
    return PerceptualLoss(distances[name], weight, fill)
