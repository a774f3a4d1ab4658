"""Training batches as pure functions of (seed, images read so far).

The data's state is that number: a resumed run continues the same sequence, and any
process of a group can find its rows without asking the others.
"""

import functools

import numpy as np
from jaxtyping import Bool, Float, Int

from rtil_jax.data.image_set import ImageSet
from rtil_jax.data.pixels import to_float

# NumPy pads a seed sequence with zeros, so only a third word other than zero keeps the
# flips at image n independent of the permutation of epoch n.
_FLIPS = 1


def batch_indices(
    seed: int, start: int, batch_size: int, num_images: int
) -> Int[np.ndarray, " batch"]:
    """Which images follow the first `start`: endless epochs, each in its own order.

    Batches are laid end to end over the epochs, so a batch may straddle two epochs or,
    where it is larger than the data, contain several.

    Args:
        seed: of the order.
        start: how many images earlier batches have read.
        batch_size: of the batch.
        num_images: of the data set.
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
    """The index of each image of a step, and whether it is mirrored.

    Args:
        seed: of the order and the flips.
        start: how many images earlier steps have read.
        batch_size: of the global batch.
        num_images: of the data set.
        flip: mirror every other image or so, at random.
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
    """The float32 images in [-1, 1] of one step.

    Args:
        images: what to draw from.
        seed: of the order and the flips.
        start: how many images earlier steps have read.
        batch_size: of the global batch.
        flip: mirror every other image or so, at random.
        rows: the rows of the global batch to read, None for all of them. A row's
            content does not depend on which others are read.
    """
    rows = slice(None) if rows is None else rows
    indices, mirrored = batch_choice(seed, start, batch_size, len(images), flip)
    batch, mirrored = images[indices[rows]], mirrored[rows]
    batch[mirrored] = batch[mirrored, :, ::-1]
    return to_float(batch)
