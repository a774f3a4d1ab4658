"""Checks that a directory can hold a training run, and writes its records.

If several processes train together, process 0 makes the directory.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from rtil_jax import data, distributed
from rtil_jax.config import first_difference, save_config
from rtil_jax.errors import UserError
from rtil_jax.experiments.parsing import as_json
from rtil_jax.experiments.training.training_config import TrainingRun
from rtil_jax.files import read_json
from rtil_jax.generators.configured import architecture_of

# Fields that may change when a run is continued.
FREE_FIELDS = (
    "training.steps",
    "checkpoint",
    "sample",
    "log",
    "data.cache_dir",
    "init_from",
    "precision",
)
# More such fields if the images are recorded, because those are compared instead.
PLACES = ("data.source", "data.split")


def check_workdir(config: TrainingRun, workdir: str) -> None:
    """Raises UserError if the directory cannot be written, or has another config."""
    if os.path.exists(workdir) and not os.path.isdir(workdir):
        raise UserError(f"--workdir: found a file {workdir}, expected a directory")
    existing = os.path.abspath(workdir)
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing) or not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"--workdir: {workdir} cannot be written (see {existing})")
    path = os.path.join(workdir, "config.json")
    if os.path.exists(path):
        free = FREE_FIELDS + (PLACES if data.has_record(workdir) else ())
        found = read_json(path, "the config of a run")
        _check_same_config(as_json(config), found, path, free)


def check_images(images: data.ImageSet, workdir: str) -> None:
    """Raises UserError if the run was trained on other images so far."""
    record = data.read_record(workdir)
    if record and (differs := data.difference(record, images)):
        raise UserError(
            f"{os.path.join(workdir, data.RECORD)}: found {images.describe()}: "
            f"{differs}, expected {record['says']}, as for the steps so far; choose "
            f"another --workdir, with --config.init_from={workdir} to start from its "
            "weights"
        )


def record_images(images: data.ImageSet, workdir: str) -> None:
    """Records the training images; raises UserError if it cannot."""
    with writing(workdir):
        data.write_record(data.record_of(images), workdir)


def record_config(config: TrainingRun, workdir: str, made: dict) -> None:
    """Writes `config.json` with the config, and commands and versions of each run.

    Args:
        config: the config of the run.
        workdir: its directory.
        made: the command and versions of this run.

    Raises:
        UserError: if the file cannot be written.
    """
    path = os.path.join(workdir, "config.json")
    runs = []
    if os.path.exists(path):
        runs = read_json(path, "the config of a run").get("runs", [])
    if made not in runs[-1:]:
        runs.append(made)
    with writing(path):
        save_config(as_json(config) | {"runs": runs}, path)


def _check_same_config(new: dict, old: dict, path: str, free: tuple[str, ...]) -> None:
    old.pop("runs", None)
    old.setdefault("architecture", architecture_of(old))
    for network in ("generator", "discriminator"):  # fields that were added later
        old.get(network, {}).setdefault("widths", [])
    old.get("data", {}).setdefault("window", [])
    if old["architecture"] == "pggan":
        old.get("generator", {}).setdefault("layout", "rtil")
    else:
        old.get("family", {}).setdefault("sigma_units", "absolute")
        old.get("training", {}).setdefault("reference_batch", 0)
    if field := first_difference(old, new, free):
        was, now = (_get(values, field) for values in (old, new))
        raise UserError(
            f"{path}: found a run with config.{field} = {was!r}, expected {now!r}; "
            f"choose another --workdir, or --config.{field}={was}"
        )


def _get(values: dict, field: str) -> Any:
    """Returns the value of a dotted field; None if it is missing."""
    value: Any = values
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def make_folders(workdir: str) -> None:
    """Makes the folders of a run; raises UserError if it cannot."""
    if not distributed.is_lead():
        return
    with writing(workdir):
        os.makedirs(os.path.join(workdir, "samples"), exist_ok=True)


@contextlib.contextmanager
def writing(path: str) -> Iterator[None]:
    """Turns errors of writing to `path`, such as a full disk, into UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); once that is mended, the "
            "same command continues from the last checkpoint"
        ) from error
