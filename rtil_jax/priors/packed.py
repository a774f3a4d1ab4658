"""Reads and writes a packed prior: the generator's weights, and the training config.

Weights are arrays by dotted name in a compressed `.npz`, float16 or float32 on disk and
float32 in memory. Nothing in the file is executed.
"""

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from rtil_jax.checkpoints import check_fit
from rtil_jax.errors import UserError
from rtil_jax.files import read_json, replacing

WEIGHTS, CONFIG = "weights.npz", "config.json"


def is_packed(directory: str) -> bool:
    """Tells whether a directory holds a packed prior rather than a training run."""
    return os.path.isfile(os.path.join(directory, WEIGHTS))


def read_config(directory: str) -> dict:
    """Reads the config of a packed prior; raises UserError if it cannot be read."""
    return read_json(os.path.join(directory, CONFIG), "a config in JSON")


def read_weights(directory: str, shapes: Any) -> dict:
    """Reads the variables as float32, in the structure of `shapes`.

    Raises:
        UserError: if the file is damaged, or its names or shapes differ.
    """
    path = os.path.join(directory, WEIGHTS)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name].astype(np.float32) for name in file.files}
        variables = unflatten_dict(arrays, sep=".")
    except Exception as error:  # A damaged zip may raise almost anything.
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(
            f"{path}: found a damaged file ({reason}), expected the weights of a prior"
        ) from error
    check_fit(path, (variables, shapes))
    return jax.tree.map(jnp.asarray, variables)


def write_weights(directory: str, variables: dict) -> None:
    """Writes arrays in their types; equal arrays give equal bytes."""
    with replacing(os.path.join(directory, WEIGHTS), "wb") as file:
        np.savez_compressed(file, **flatten_dict(variables, sep="."))
