"""Chooses the images of training batches, as a function of the seed and the position.

The position is the number of images read so far. It is all that a run must remember to
continue the same sequence, and every process of a group can find its rows alone.
"""

import functools

import numpy as np
from jaxtyping import Bool, Float, Int

from rtil_jax.data.image_set import ImageSet
from rtil_jax.data.pixels import to_float

# NumPy pads a seed sequence with zeros, so a third word that is not zero keeps the
# flips at image n independent of the permutation of epoch n.
_FLIPS = 1


def batch_indices(
    seed: int, start: int, batch_size: int, num_images: int
) -> Int[np.ndarray, " batch"]:
    """Returns the indices of the images that follow the first `start` ones.

    Every epoch has its own order. A batch may straddle two epochs, or contain several
    if it is larger than the data set.

    Args:
        seed: the seed of the order.
        start: how many images earlier batches have read.
        batch_size: the number of images in the batch.
        num_images: the number of images in the data set.
    """
    positions = start + np.arange(batch_size)
    epochs, offsets = np.divmod(positions, num_images)
    indices = np.empty(batch_size, np.int64)
    for epoch in np.unique(epochs):
        inside = epochs == epoch
        indices[inside] = _permutation(seed, int(epoch), num_images)[offsets[inside]]
    return indices


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, num_images: int) -> Int[np.ndarray, " images"]:
    return np.random.default_rng([seed, epoch]).permutation(num_images)


def batch_choice(
    seed: int, start: int, batch_size: int, num_images: int, flip: bool
) -> tuple[Int[np.ndarray, " batch"], Bool[np.ndarray, " batch"]]:
    """Returns the index of each image of a step, and whether it is mirrored.

    Args:
        seed: the seed of the order and the flips.
        start: how many images earlier steps have read.
        batch_size: the number of images in the global batch.
        num_images: the number of images in the data set.
        flip: mirror half of the images, chosen at random.
    """
    draws = np.random.default_rng([seed, start, _FLIPS]).random(batch_size)
    mirrored = draws < (0.5 if flip else 0.0)
    return batch_indices(seed, start, batch_size, num_images), mirrored


def training_batch(
    images: ImageSet,
    *,
    seed: int,
    start: int,
    batch_size: int,
    flip: bool = True,
    rows: slice | None = None,
) -> Float[np.ndarray, "rows height width channels"]:
    """Returns the images of one training step, float32 in [-1, 1].

    Args:
        images: the training images.
        seed: the seed of the order and the flips.
        start: how many images earlier steps have read.
        batch_size: the number of images in the global batch.
        flip: mirror half of the images, chosen at random.
        rows: which rows of the global batch to read; None for all. The content of a
            row does not depend on the other rows that are read.
    """
    rows = slice(None) if rows is None else rows
    indices, mirrored = batch_choice(seed, start, batch_size, len(images), flip)
    batch, mirrored = images[indices[rows]], mirrored[rows]
    batch[mirrored] = batch[mirrored, :, ::-1]
    return to_float(batch)
