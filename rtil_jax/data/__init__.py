"""Images in, batches out: folders, zips, TFDS datasets and drawn avatars.

Whatever the source, images are decoded, cropped and resized once, kept in a cache, and
read back by index. TensorFlow is needed only where TensorFlow Datasets needs it to
prepare a dataset of its catalogue.
"""

from rtil_jax.data.batches import batch_choice, batch_indices, training_batch
from rtil_jax.data.image_set import ImageSet
from rtil_jax.data.loading import check_window, list_images, load_images
from rtil_jax.data.pixels import shrink, to_float, to_uint8

__all__ = [
    "ImageSet",
    "batch_choice",
    "batch_indices",
    "check_window",
    "list_images",
    "load_images",
    "shrink",
    "to_float",
    "to_uint8",
    "training_batch",
]
