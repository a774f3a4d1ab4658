"""Loads what an inversion reads: priors, images, and weights of perceptual losses."""

import functools
from collections.abc import Mapping
from typing import Any

import jax

from rtil_jax.baselines.packages import require_packages
from rtil_jax.config import require
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inversion_entries import Entry
from rtil_jax.experiments.inversion.inversion_fields import DISTANCES, Images
from rtil_jax.experiments.inversion.inversion_run import InversionRun
from rtil_jax.inversion.finishes import check_finish, find_finish
from rtil_jax.inversion.held_out import check_held_out
from rtil_jax.inversion.perceptual_loss import PerceptualLoss
from rtil_jax.inversion.without_prior import is_baseline, needs_prior
from rtil_jax.metrics.perceptual import Perceptual, load_lpips, load_vgg_l1
from rtil_jax.metrics.perceptual.networks import LEAST_SIZE
from rtil_jax.operators import sample_operator
from rtil_jax.operators.interface import ImageShape
from rtil_jax.priors import locate
from rtil_jax.priors.prior import Prior, load_prior


def load_priors(sources: Mapping[str, str]) -> dict[str, Prior]:
    """Loads priors by name; all must make images of the same shape.

    Raises:
        UserError: if one cannot be loaded, or the shapes differ.
    """
    named = {name: source for name, source in sources.items() if source}
    for name, source in named.items():
        locate(source, f"config.priors.{name}")
    priors = {name: load_prior(source) for name, source in named.items()}
    if not priors:
        return {}
    first, *others = priors
    for name in others:
        found, shape = priors[name].image_shape, priors[first].image_shape
        if found != shape:
            raise UserError(
                f"config.priors.{name}: found images of shape {found}, expected "
                f"{shape}, the shape of config.priors.{first}"
            )
    return priors


def image_shape(images: Images, priors: dict[str, Prior]) -> ImageShape:
    """Returns `(height, width, channels)` of the images, from the priors or the config.

    Raises:
        UserError: if the config contradicts the priors, or says nothing without priors.
    """
    size, channels = images.resolution, images.channels
    if not priors:
        expected = "the value for the images, because no prior gives it"
        require(size > 0, "images.resolution", size, expected)
        require(channels > 0, "images.channels", channels, f"1 or 3, {expected}")
        return size, size, channels
    (height, width, known), name = next(iter(priors.values())).image_shape, [*priors][0]
    expected = f"{{}}, the value of config.priors.{name}, or 0"
    require(size in (0, height), "images.resolution", size, expected.format(height))
    require(channels in (0, known), "images.channels", channels, expected.format(known))
    return height, width, known


def prior_of(entry: Entry, priors: dict[str, Prior], shape: ImageShape) -> Prior | None:
    """Returns the prior of an entry, or the network that its method brings, or None.

    Args:
        entry: one method on one problem.
        priors: the priors by name.
        shape: `(height, width, channels)` of the images.
    """
    if is_baseline(entry.method):
        return None
    if needs_prior(entry.method):
        return priors[entry.prior]
    return entry.method.own_prior(shape)


def check_fit(run: InversionRun, priors: dict[str, Prior], shape: ImageShape) -> None:
    """Raises UserError if a method, a ratio or a finish cannot be used.

    It may not fit a prior's generator, or a package may be missing.

    Args:
        run: the inversion.
        priors: the priors by name.
        shape: `(height, width, channels)` of the images.
    """
    key = jax.random.key(0)
    fits = {
        (e.method, e.prior, e.select, e.perceptual, e.precision): e for e in run.entries
    }
    for entry in fits.values():
        prior = prior_of(entry, priors, shape)
        if prior is None:
            packages = getattr(entry.method, "packages", ())
            require_packages(f"config.method: {type(entry.method).__name__}", packages)
            continue
        prior = prior.in_precision(entry.precision, "config.precision")
        stages = entry.method.stages(prior.generator)
        if entry.select == "held_out":
            check_held_out(stages, entry.perceptual)
    for entry in {(one.finish, one.noise_std): one for one in run.entries}.values():
        check_finish(find_finish("config.finish", entry.finish, entry.noise_std))
    if run.measurements:
        return
    measured = dict.fromkeys((one.problem, one.ratio) for one in run.entries)
    for problem, ratio in measured:
        jax.eval_shape(functools.partial(sample_operator, problem, key, shape, ratio))


def image_arguments(images: Images, shape: ImageShape) -> dict[str, Any]:
    """Returns the arguments of `data.load_images` for images of this shape."""
    resolution, _, channels = shape
    return dict(
        source=images.source,
        split=images.split,
        resolution=resolution,
        channels=channels,
        cache_dir=images.cache_dir or None,
        count=images.count or None,
        window=images.window,
    )


def load_distances(run: InversionRun, shape: ImageShape) -> dict[str, Perceptual]:
    """Loads the distances of all perceptual losses among the entries, by name.

    Raises:
        UserError: if weights are missing, or images of this shape are too small.
    """
    size = min(shape[:2])
    needed = {entry.perceptual.distance for entry in run.entries if entry.perceptual}
    for name in needed:
        require(
            size >= LEAST_SIZE,
            "perceptual.distance",
            name,
            f"'' for images of {size} pixels (its network needs at least {LEAST_SIZE})",
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
    """Returns the perceptual loss of an entry, or None."""
    if entry.perceptual is None:
        return None
    name, weight, fill = entry.perceptual
    return PerceptualLoss(distances[name], weight, fill)
