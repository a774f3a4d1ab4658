"""Images in, batches out: folders, zips, TFDS datasets and drawn avatars.

Whatever the source, images are decoded, cropped and resized once, kept in a TensorFlow
Datasets cache, and read back by index. TensorFlow itself is never needed.
"""

from rtil_jax.data.batches import batch_choice, batch_indices, training_batch
from rtil_jax.data.cache import ImageSet
from rtil_jax.data.loading import check_images, load_images
from rtil_jax.data.pixels import shrink, to_float, to_uint8

__all__ = [
    "ImageSet",
    "batch_choice",
    "batch_indices",
    "check_images",
    "load_images",
    "shrink",
    "to_float",
    "to_uint8",
    "training_batch",
]
