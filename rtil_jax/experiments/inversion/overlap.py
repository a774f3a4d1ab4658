"""Warns if images to recover are among those that a prior was trained on."""

import os
from typing import Any

from rtil_jax import data
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inversion_fields import Images
from rtil_jax.experiments.inversion.inversion_run import InversionRun
from rtil_jax.priors import locate
from rtil_jax.priors.prior import load_training_config


def seen_in_training(run: InversionRun, images: data.ImageSet) -> dict[str, str]:
    """Returns {name: warning} for the priors that were trained on these images.

    Images are compared by content if the training has recorded it, or else by source
    and split.
    """
    warnings = {}
    for name, source in run.priors.items():
        if not source:
            continue
        record = data.read_record(locate(source))
        if record:
            trained, says = set(record["identities"]), record["says"]
            number = sum(identity in trained for identity in images.identities)
        else:
            says = _taken(load_training_config(source), run.images, images)
            number = len(images) if says else 0
        if number:
            warnings[name] = (
                f"{number:,} of the {len(images):,} images to recover are among those "
                f"that config.priors.{name} was trained on ({says}), so its results do "
                "not show how it does on new images; choose others with "
                "config.images.source or config.images.split"
            )
    return warnings


def _taken(trained: Any, wanted: Images, images: data.ImageSet) -> str:
    """Returns what a training took, by its config, if it is the same source."""
    fields = trained.get("data")
    if fields is None or "converted" in trained:
        return ""
    took, part = fields["source"], fields["split"]
    says, source = f"{took} [{part}]", wanted.source
    if _is_catalogue(took) or not os.path.exists(took):
        # A prior from another machine may only know the name of a file.
        named = os.path.basename(os.path.normpath(source))
        alike = took in (source, named) and part == wanted.split
        return says if alike else ""
    same = os.path.exists(source) and os.path.samefile(took, source)
    try:
        listed = data.list_images(took, part, trained["resolution"])
    except UserError:
        return ""
    return says if same and listed.says == images.source else ""


def _is_catalogue(source: str) -> bool:
    return source.partition(":")[0] in ("avatars", "tfds")
