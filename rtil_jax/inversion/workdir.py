"""Whether a directory can hold an inversion's results beside those it has."""

import json
import os

from ml_collections import ConfigDict

from rtil_jax.checkpoints import checksum
from rtil_jax.config import first_difference, plain, save_config
from rtil_jax.errors import UserError
from rtil_jax.inversion.prior import Prior

# Results of one directory may differ in these.
FREE_FIELDS = (
    "ratios",
    "problem",
    "select",
    "batch_size",
    "images.count",
    "priors",
    "lpips",
)
# And from method to method in these.
METHOD_FIELDS = ("method", "method_for", "restarts")


def claim_workdir(config: ConfigDict, workdir: str, priors: dict[str, Prior]) -> None:
    """Makes the folders, and records the config and the priors' checksums.

    Raises:
        UserError: if the directory cannot be written, is one of training, or has
            results of another config or of priors that have changed since.
    """
    if os.path.exists(os.path.join(workdir, "checkpoints")):
        raise UserError(f"--workdir={workdir}: found a training run, expected another")
    path = os.path.join(workdir, "config.json")
    record = _read_record(path)
    new, method = plain(config), config.method.name
    for name, old in record["methods"].items():
        free = FREE_FIELDS + (() if name == method else METHOD_FIELDS)
        if field := first_difference(old, new, free):
            raise UserError(
                f"{path}: its results have another config.{field}; choose another "
                "--workdir"
            )
    for name, prior in priors.items():
        found, expected = (
            checksum(prior.variables),
            record["priors"].setdefault(name, None),
        )
        if expected not in (None, found):
            raise UserError(
                f"{path}: config.priors.{name} was another network when its results "
                "were made; choose another --workdir"
            )
        record["priors"][name] = found
    record["methods"][method] = new
    try:
        for folder in ("recovered", "solutions", "figures"):
            os.makedirs(os.path.join(workdir, folder), exist_ok=True)
        save_config(record, path)
    except OSError as error:
        raise UserError(
            f"--workdir={workdir}: cannot be written ({error.strerror})"
        ) from error


def _read_record(path: str) -> dict:
    if not os.path.exists(path):
        return {"methods": {}, "priors": {}}
    with open(path, encoding="utf-8") as file:
        try:
            record = json.load(file)
        except ValueError as error:
            raise UserError(f"{path}: expected JSON ({error})") from error
    if not isinstance(record, dict) or not record.keys() >= {"methods", "priors"}:
        raise UserError(f"{path}: found another program's, expected an inversion's")
    return record
