"""Listing the images of a dataset in the TensorFlow Datasets catalogue."""

import types
from typing import Any

from rtil_jax.data.sources import Source, fingerprint
from rtil_jax.errors import UserError


def import_tfds() -> types.ModuleType:
    """TensorFlow Datasets, imported only where images are read.

    Raises:
        UserError: if it is not installed.
    """
    try:
        import tensorflow_datasets
    except ModuleNotFoundError as error:
        raise UserError(
            f"reading images needs pip install tensorflow-datasets ({error})"
        ) from error
    return tensorflow_datasets


def tfds_source(name: str, split: str) -> Source:
    """The images of a dataset, prepared by TFDS first if they are not yet.

    Args:
        name: "NAME" or "NAME/CONFIG" of the catalogue.
        split: a split of the dataset; TFDS's slices ("train[:10%]") work too.

    Raises:
        UserError: if the dataset, its split or its image feature does not exist, or
            if TFDS cannot prepare it.
    """
    tfds = import_tfds()
    location = f"tfds:{name}"
    try:
        builder = tfds.builder(name, file_format="array_record")
    except ValueError as error:
        raise UserError(f"{location}: {_first_line(error)}") from error
    feature = _image_feature(tfds, builder, location)
    try:
        builder.download_and_prepare()
    except Exception as error:
        # Anything: no network, no disk space, archives to be fetched by hand, or a
        # dataset that TFDS can prepare only where TensorFlow is installed.
        raise UserError(
            f"{location}: could not be prepared ({type(error).__name__}: "
            f"{_first_line(error)})"
        ) from error
    try:
        records = builder.as_data_source(
            split=split, decoders={feature: tfds.decode.SkipDecoding()}
        )
    except ValueError as error:
        raise UserError(f"{location}: {_first_line(error)}") from error
    return Source(
        location=location,
        fingerprint=fingerprint([str(builder.data_dir), split, len(records)]),
        names=tuple(f"{index:07d}.png" for index in range(len(records))),
        read=lambda index: records[index][feature],
    )


def _image_feature(tfds: Any, builder: Any, location: str) -> str:
    features = builder.info.features
    images = [
        name
        for name, feature in features.items()
        if isinstance(feature, tfds.features.Image)
    ]
    if not images:
        raise UserError(
            f"{location}: no image feature; found {', '.join(sorted(features))}"
        )
    return "image" if "image" in images else images[0]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or "no message").splitlines()[0]
