"""Computes the distances between real images and every member of a prior's family."""

import dataclasses
from collections.abc import Iterator

import jax
import numpy as np
from jaxtyping import UInt8

from rtil_jax import data
from rtil_jax.checkpoints import checksum
from rtil_jax.data.pixels import Window
from rtil_jax.errors import UserError
from rtil_jax.experiments.scoring.members import draw_member
from rtil_jax.experiments.training.configured_recipe import build_recipe, saved_run
from rtil_jax.families import Family
from rtil_jax.metrics.frechet import FrechetVGG, feature_distance, load_frechet_vgg
from rtil_jax.metrics.perceptual.networks import LEAST_SIZE
from rtil_jax.metrics.sliced_wasserstein import patch_distance, patches
from rtil_jax.priors.prior import Prior, load_prior, load_training_config

BATCH = 64
Batch = UInt8[np.ndarray, "batch height width channels"]


@dataclasses.dataclass(frozen=True)
class Summary:
    """The patches and features by which two sets of images are compared.

    Attributes:
        patches: {pixels of a level of the pyramid: its patches}.
        features: `(images, features)`, or None without a network.
    """

    patches: dict[int, np.ndarray]
    features: np.ndarray | None


def score_prior(
    source: str, images: str, split: str = "test", count: int = 1_000, seed: int = 0
) -> dict:
    """Scores every member of a prior's family, and a set of real images.

    Args:
        source: a training directory or `pretrained:NAME`.
        images: a folder, a zip, `tfds:NAME` or `avatars`; see `data.load_images`.
        split: the split of real images to compare with.
        count: number of images of each set, at least 2, spread evenly over the split.
        seed: the seed of latents, patches and directions.

    Returns:
        A record for JSON. `rows` have a `name`, `swd` by the pixels of the level, and
        `frechet_vgg`, which is None if `left_out` says why. The first row, of real
        images, is the floor.

    Raises:
        UserError: if the prior or the images cannot be loaded, or are too few.
    """
    prior = load_prior(source)
    run = saved_run(load_training_config(source))
    family, window = build_recipe(run).family, run.data.window
    real, others, floor = real_images(prior, images, split, count, window)
    network, left_out = find_network(prior)
    patch_key, direction_key, sample_key = jax.random.split(jax.random.key(seed), 3)
    sets = {floor: in_batches(others)}
    for member in range(family.num_members):
        batches = member_batches(prior, family, member, sample_key, count)
        sets[f"G^{member}"] = batches
    reference = summarise(in_batches(real), count, patch_key, network)
    rows = []
    for name, batches in sets.items():
        found = summarise(batches, count, patch_key, network)
        rows.append({"name": name, **distances(reference, found, direction_key)})
    return {
        "prior": source,
        "network": checksum(prior.variables),
        "images": {"source": images, "split": split, "count": count},
        "seed": seed,
        "left_out": left_out,
        "rows": rows,
    }


def real_images(
    prior: Prior, source: str, split: str, count: int, window: Window = ()
) -> tuple[Batch, Batch, str]:
    """Returns images of a split, the same number of other images, and their name.

    The other images are from the split `train`: a GAN that only repeats its training
    images scores as they do. If both splits are the same images, each set gets half of
    twice the number.

    Args:
        prior: the prior, whose images have the same shape.
        source: a folder, a zip, `tfds:NAME` or `avatars`.
        split: the split to compare with.
        count: number of images of each set.
        window: the values of black and white in images with more than 8 bits.

    Raises:
        UserError: if there are too few images.
    """

    test, train = (
        data.load_images(
            source,
            name,
            resolution=prior.generator.resolution,
            channels=prior.generator.channels,
            window=window,
        )
        for name in (split, "train")
    )
    for name, found in ((split, test), ("train", train)):
        check_count(count, len(found), f"the images in {source} [{name}]")
    real, training = spread(test, count), spread(train, count)
    if not np.array_equal(real, training):
        return real, training, "real images (train)"
    check_count(count, len(test) // 2, f"half of the images in {source}")
    both = spread(test, 2 * count)
    return both[::2], both[1::2], "real images (other half)"


def check_count(count: int, most: int, what: str) -> None:
    """Raises UserError if there are too few images, or too few for a covariance.

    Args:
        count: number of images that the user wants.
        most: number of images that there are.
        what: what these are, for the message.
    """
    if not 2 <= count <= most:
        raise UserError(f"--count: found {count}, expected 2 to {most} ({what})")


def spread(images: data.ImageSet, count: int) -> Batch:
    """Takes `count` evenly spaced images, because neighbours often show one person."""
    return images[np.arange(count) * len(images) // count]


def find_network(prior: Prior) -> tuple[FrechetVGG | None, str]:
    """Returns the network of `frechet_vgg`, or None and why it is missing."""
    if prior.generator.resolution < LEAST_SIZE:
        return None, f"frechet_vgg needs images of at least {LEAST_SIZE} pixels"
    try:
        return load_frechet_vgg(), ""
    except UserError as error:
        return None, f"frechet_vgg is left out: {error}"


def in_batches(images: Batch) -> Iterator[Batch]:
    """Yields equal batches; the last repeats an image, to avoid another compilation."""
    size = min(BATCH, len(images))
    for first in range(0, len(images), size):
        yield images[np.minimum(np.arange(first, first + size), len(images) - 1)]


def member_batches(
    prior: Prior,
    family: Family,
    member: int,
    key: jax.Array,
    count: int,
) -> Iterator[Batch]:
    """Yields images of one member, rounded to 8 bits; members share their keys.

    Args:
        prior: the prior.
        family: the family that it was trained with.
        member: the number of the member; 0 is G itself.
        key: the PRNG key of the images.
        count: number of images.
    """
    size = min(BATCH, count)
    for first in range(0, count, size):
        batch_key = jax.random.fold_in(key, first)
        images = draw_member(
            prior.generator, family, member, size, prior.variables, batch_key
        )
        yield data.to_uint8(images)


def summarise(
    batches: Iterator[Batch], count: int, key: jax.Array, network: FrechetVGG | None
) -> Summary:
    """Computes patches and features of images.

    Args:
        batches: batches of uint8 images.
        count: number of images to use.
        key: the PRNG key of the patches; each image folds in its index.
        network: the network of `frechet_vgg`, or None.
    """
    cut: dict[int, list[np.ndarray]] = {}
    features, first = [], 0
    for batch in batches:
        images, kept = data.to_float(batch), min(len(batch), count - first)
        indices = np.arange(first, first + len(batch))
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, indices)
        for size, level in patches(images, keys).items():
            each = len(level) // len(batch)
            cut.setdefault(size, []).append(np.asarray(level)[: kept * each])
        if network:
            features.append(np.asarray(network.features(images))[:kept])
        first += kept
    joined = {size: np.concatenate(levels) for size, levels in cut.items()}
    return Summary(joined, np.concatenate(features) if network else None)


def distances(reference: Summary, found: Summary, key: jax.Array) -> dict:
    """Returns `swd` by level and `frechet_vgg` of two summaries.

    Args:
        reference: the summary of real images.
        found: the summary of the other images.
        key: the PRNG key of the directions.
    """
    pairs = reference.patches.items()
    swd = {str(n): patch_distance(real, found.patches[n], key) for n, real in pairs}
    frechet = None
    if reference.features is not None and found.features is not None:
        frechet = feature_distance(reference.features, found.features)
    return {"swd": swd, "frechet_vgg": frechet}
