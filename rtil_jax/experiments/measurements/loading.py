"""Loads the measurements that a config names."""

import dataclasses
import os
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from rtil_jax import data
from rtil_jax.data.formats import is_image
from rtil_jax.errors import UserError
from rtil_jax.experiments.measurements.arrays import is_arrays, load_arrays
from rtil_jax.experiments.measurements.measured import Measured
from rtil_jax.experiments.measurements.own_operator import load_operator
from rtil_jax.experiments.measurements.pictures import load_pictures
from rtil_jax.files import local_path
from rtil_jax.operators.interface import ImageShape


def load_measured(
    path: str,
    problem: str,
    image_shape: ImageShape,
    window: tuple = (),
    limits: tuple = (-1, 1),
    operator: str = "",
) -> Measured:
    """Reads measurements from a file or a folder.

    Args:
        path: a picture, a folder of pictures, a `.npz`, a `.npy`, or a folder with
            `y.npy`.
        problem: the name of the problem, such as `inpainting`.
        image_shape: `(height, width, channels)` of the images to recover.
        window: the values of black and white in pictures with more than 8 bits.
        limits: the values of black and white in the images to recover.
        operator: FILE.py:NAME of the user's operator, for arrays.

    Raises:
        UserError: if the file does not exist, or does not fit such images.
    """
    path = local_path(path, "config.measurements")
    if not os.path.exists(path):
        raise UserError(
            f"config.measurements: found no file or folder {path}, expected pictures "
            "or arrays"
        )
    own = load_operator(operator, image_shape) if operator else None
    if is_arrays(path):
        found = load_arrays(path, problem, image_shape, own)
        return dataclasses.replace(found, image_shape=image_shape)
    if own is not None:
        raise UserError(
            f"config.operator: found {operator} with pictures in {path}, expected y in "
            "a .npy or .npz"
        )
    _refuse_arrays_alone(path)
    found = load_pictures(path, problem, image_shape, window, limits)
    return dataclasses.replace(found, image_shape=image_shape)


def _refuse_arrays_alone(path: str) -> None:
    """Raises UserError for a folder that has arrays but no pictures and no y."""
    names = sorted(os.listdir(path)) if os.path.isdir(path) else []
    arrays = [name for name in names if name.lower().endswith((".npy", ".npz"))]
    if arrays and not any(is_image(name) for name in names):
        raise UserError(
            f"{path}: found {', '.join(arrays[:3])} and no pictures, expected y.npy in "
            f"the folder, or the path of a file, like {os.path.join(path, arrays[0])}"
        )


def with_truth(measured: Measured, source: str, arguments: dict[str, Any]) -> Measured:
    """Adds the true images from a folder or a zip to measurements.

    Args:
        measured: the measurements; images have the same names, except the extension.
        source: the folder or zip of true images.
        arguments: further arguments of `data.load_images`.

    Raises:
        UserError: if a measurement has no true image.
    """
    try:
        images = data.load_images(**arguments | {"source": source, "count": None})
    except UserError as error:
        raise UserError(f"config.truth: {error}") from error
    of_name = {os.path.splitext(name)[0]: i for i, name in enumerate(images.names)}
    stems = [os.path.splitext(name)[0] for name in measured.names]
    without = [
        name
        for name, stem in zip(measured.names, stems, strict=True)
        if stem not in of_name
    ]
    if without:
        more = f" and {len(without) - 3} more" if len(without) > 3 else ""
        raise UserError(
            f"config.truth: found no image for {', '.join(without[:3])}{more} in "
            f"{source}, expected one of the same name for each"
        )
    order = np.array([of_name[stem] for stem in stems])
    chosen = data.ImageSet(
        names=tuple(images.names[i] for i in order),
        pixels=images[order],
        source=images.source,
        identities=tuple(images.identities[i] for i in order),
    )
    return dataclasses.replace(measured, truth=chosen)


def config_of(config: ConfigDict, measured: Measured) -> ConfigDict:
    """Adds to a config what the measurements state: problem, ratio, noise."""
    changed = config.copy_and_resolve_references().unlock()
    facts = dict(measured.facts)
    if (
        config.get("noise_std") or config.get("noise", "gaussian") != "gaussian"
    ):  # a value of the user takes precedence
        facts = {k: v for k, v in facts.items() if not k.startswith(("noise", "peak"))}
    facts |= {"problem": measured.problem, "ratios": (measured.ratio,)}
    facts["ratios_for"] = ConfigDict()
    with changed.ignore_type():
        limits = facts.pop("range", None)
        if limits is not None:
            changed.images.range = limits
        for name, value in facts.items():
            changed[name] = value
    return changed
