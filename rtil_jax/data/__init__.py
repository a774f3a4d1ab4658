"""Loads images from folders, zips and TFDS datasets, or draws avatars; makes batches.

Images from any source are decoded, cropped and resized once, kept in a cache, and read
back by index. TensorFlow is needed only if TensorFlow Datasets needs it to prepare a
dataset of its catalogue.
"""

from rtil_jax.data.batches import batch_choice, batch_indices, training_batch
from rtil_jax.data.image_set import ImageSet
from rtil_jax.data.loading import list_images, load_images, probe_images
from rtil_jax.data.pixels import WINDOW, is_window, shrink, to_float, to_uint8
from rtil_jax.data.record import NAME as RECORD
from rtil_jax.data.record import (
    difference,
    has_record,
    read_record,
    record_of,
    write_record,
)

__all__ = [
    "RECORD",
    "WINDOW",
    "ImageSet",
    "batch_choice",
    "batch_indices",
    "difference",
    "has_record",
    "is_window",
    "list_images",
    "load_images",
    "probe_images",
    "read_record",
    "record_of",
    "shrink",
    "to_float",
    "to_uint8",
    "training_batch",
    "write_record",
]
