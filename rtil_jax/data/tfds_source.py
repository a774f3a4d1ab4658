"""Lists the images of a dataset in the TensorFlow Datasets catalogue."""

import contextlib
import io
import os
import types
from collections.abc import Iterator
from typing import Any

from rtil_jax.data.sources import Source
from rtil_jax.errors import UserError


def import_tfds() -> types.ModuleType:
    """Imports TensorFlow Datasets when one of its datasets is read.

    Raises:
        UserError: if it is not installed.
    """
    try:
        import tensorflow_datasets
    except ModuleNotFoundError as error:
        raise UserError(
            f"tfds: found no package tensorflow_datasets ({error}), expected pip "
            "install tensorflow-datasets"
        ) from error
    return tensorflow_datasets


def tfds_source(name: str, split: str) -> Source:
    """Lists the images of a dataset; TFDS prepares it first if necessary.

    Args:
        name: "NAME" or "NAME/CONFIG" of the catalogue.
        split: a split of the dataset; TFDS's slices ("train[:10%]") work too.

    Raises:
        UserError: if the dataset, its split or its image feature does not exist, or if
            TFDS cannot prepare it, for example because that needs TensorFlow.
    """
    tfds = import_tfds()
    location = f"tfds:{name}"
    with _explained(location, "found no such dataset"):
        builder = tfds.builder(name, file_format="array_record")
    feature = _image_feature(tfds, builder, location)
    # Many things may fail: the network, disk space, archives to be fetched by hand.
    with _explained(location, "could not be prepared"):
        builder.download_and_prepare()
    with _explained(location, f"found no split {split!r} that can be read"):
        records = builder.as_data_source(
            split=split, decoders={feature: tfds.decode.SkipDecoding()}
        )
        places = list(_places(builder, split))
    return Source(
        location=location,
        says=f"{location} [{split}]",
        names=tuple(f"{index:07d}.png" for index in range(len(records))),
        identify=lambda index: f"{builder.info.full_name} {places[index]}",
        read=lambda index: records[index][feature],
    )


@contextlib.contextmanager
def _explained(location: str, problem: str) -> Iterator[None]:
    """Turns any error of TFDS into a UserError of one line; hides what TFDS prints."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except Exception as error:
        if _wants_tensorflow(error):
            raise UserError(
                f"{location}: found no package tensorflow, which TFDS needs to prepare "
                "this dataset, expected pip install tensorflow; or export the images "
                "to a folder and use that"
            ) from error
        line = (str(error).strip() or "no message").splitlines()[0]
        raise UserError(
            f"{location}: {problem} ({type(error).__name__}: {line})"
        ) from error


def _wants_tensorflow(error: BaseException | None) -> bool:
    """Tells whether an error, or its cause, is a missing TensorFlow."""
    while error is not None:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if (missing or "").partition(".")[0] in ("tensorflow", "tensorflow_io"):
            return True
        error = error.__cause__ or error.__context__
    return False


def _places(builder: Any, split: str) -> Iterator[str]:
    """Yields file and position of each record, which slices of a split share."""
    for part in builder.info.splits[split].file_instructions:
        file = os.path.basename(part.filename)
        end = part.skip + part.take if part.take >= 0 else part.examples_in_shard
        yield from (f"{file} {index}" for index in range(part.skip, end))


def _image_feature(tfds: Any, builder: Any, location: str) -> str:
    features = builder.info.features
    images = [
        name
        for name, feature in features.items()
        if isinstance(feature, tfds.features.Image)
    ]
    if not images:
        raise UserError(
            f"{location}: found the features {', '.join(sorted(features))}, expected "
            "an image among them"
        )
    return "image" if "image" in images else images[0]
