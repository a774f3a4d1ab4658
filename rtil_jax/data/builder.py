"""The TFDS builder that decodes a source once and stores its pixels as array_record.

This module imports TensorFlow Datasets, so it is itself imported only when needed.
"""

import itertools
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from rtil_jax.data.pixels import decode_image
from rtil_jax.data.sources import Source
from rtil_jax.errors import UserError
from rtil_jax.progress import progress

# TFDS holds a split in memory while it writes it, and beyond 1 GB goes through files
# for which it needs TensorFlow. The images are therefore cut into splits of this size.
_PART_BYTES = 2**28
_CHUNK = 256


class DecodedImages(tfds.core.GeneratorBasedBuilder):
    """The images of a source in name order, as raw pixels; damaged ones are left out.

    Their names are the dataset's metadata: record i is the image `names[i]`.
    """

    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self, *, source: Source, resolution: int, channels: int, **kwargs: Any
    ):
        self._source = source
        self._shape = (resolution, resolution, channels)
        self._images_per_part = max(1, _PART_BYTES // int(np.prod(self._shape)))
        super().__init__(file_format="array_record", **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        pixels = tfds.features.Tensor(
            shape=self._shape, dtype=np.uint8, encoding=tfds.features.Encoding.BYTES
        )
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict({"image": pixels}),
            metadata=tfds.core.MetadataDict(names=[]),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        num_parts = -(-len(self._source.names) // self._images_per_part)
        images = decode_source(self._source, self._shape[0], self._shape[2])
        return {
            f"part{part:05d}": self._generate_examples(images)
            for part in range(num_parts)
        }

    def _generate_examples(self, images: Iterator) -> Iterator:
        names = self.info.metadata["names"]
        start = len(names)
        for name, pixels in itertools.islice(images, self._images_per_part):
            yield len(names), {"image": pixels}
            names.append(name)
        if len(names) == start:
            # Damaged images can leave the last parts empty, which TFDS refuses. No
            # name refers to this record.
            yield len(names), {"image": np.zeros(self._shape, np.uint8)}


def decode_source(
    source: Source, resolution: int, channels: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the name and the pixels of every readable image, in name order.

    Raises:
        UserError: at the end, if there was none.
    """

    def decode(index: int) -> np.ndarray | Exception:
        try:
            return decode_image(source.read(index), resolution, channels)
        except Exception as error:  # Pillow and zipfile raise almost any.
            return error

    count, num_good, error = len(source.names), 0, None
    # Pillow releases the GIL. Chunks bound how many images wait to be written.
    with (
        ThreadPoolExecutor() as pool,
        progress(count, "preparing images") as bar,
    ):
        for start in range(0, count, _CHUNK):
            chunk = range(start, min(start + _CHUNK, count))
            for index, result in zip(chunk, pool.map(decode, chunk), strict=True):
                name = source.names[index]
                bar.update()
                if isinstance(result, Exception):
                    error = result
                    logging.getLogger("rtil_jax").warning(
                        "%s: skipped %s (%s)", source.location, name, error
                    )
                else:
                    num_good += 1
                    yield name, result
    if not num_good:
        raise UserError(
            f"{source.location}: none of its {count} images can be read ({error})"
        ) from error
