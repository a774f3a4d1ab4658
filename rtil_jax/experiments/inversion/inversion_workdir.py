"""Checks that a directory can hold the results of an inversion; records its config."""

import os
from typing import Any

from rtil_jax import data
from rtil_jax.checkpoints import checksum
from rtil_jax.config import first_difference, save_config
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inversion_run import InversionRun
from rtil_jax.experiments.measurements.measured import Subjects
from rtil_jax.files import read_json
from rtil_jax.locks import waiting
from rtil_jax.priors.prior import Prior
from rtil_jax.provenance import provenance

# Fields in which the results of one directory may differ.
FREE_FIELDS = (
    "ratios",
    "ratios_for",
    "problem",
    "select",
    "batch_size",
    "images.count",
    "images.cache_dir",
    "priors",
    "lpips",
    "figure",
    "settings",
    "where_it_fits",
)
# More such fields if the images are recorded, because those are compared instead.
PLACES = (
    "images.source",
    "images.split",
    "images.resolution",
    "images.channels",
    "measurements",
)
# Fields that may differ between methods.
METHOD_FIELDS = (
    "method",
    "method_for",
    "restarts",
    "finish",
    "perceptual",
    "perceptual_for",
    "precision",
)


def make_workdir(workdir: str) -> None:
    """Makes the folders of an inversion.

    Raises:
        UserError: if the directory cannot be written, or holds a training run.
    """
    _check_kind(workdir)
    try:
        for folder in ("recovered", "solutions", "figures"):
            os.makedirs(os.path.join(workdir, folder), exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--workdir={workdir}: cannot be written ({error.strerror})"
        ) from error


def check_workdir(run: InversionRun, workdir: str, priors: dict[str, Prior]) -> None:
    """Raises UserError as `make_workdir` and `claim_workdir` would; writes nothing.

    Args:
        run: the inversion.
        workdir: the directory of its results.
        priors: the priors by name.
    """
    _check_kind(workdir)
    existing = os.path.abspath(workdir)
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    problem = "" if os.access(existing, os.W_OK | os.X_OK) else "Permission denied"
    problem = problem if os.path.isdir(existing) else "Not a directory"
    if problem:
        raise UserError(f"--workdir={workdir}: cannot be written ({problem})")
    _joined_record(run, workdir, priors)


def _check_kind(workdir: str) -> None:
    if os.path.exists(os.path.join(workdir, "checkpoints")):
        raise UserError(
            f"--workdir={workdir}: found a training run, expected a directory of "
            "results or a new one"
        )


def claim_workdir(
    run: InversionRun,
    workdir: str,
    priors: dict[str, Prior],
    command: str,
    snr: dict | None = None,
) -> None:
    """Records the config, the checksums of priors, and the noise in decibels.

    `config.json` has the effective config of every label under `methods`, and what all
    labels have in common under `shared`.

    Args:
        run: the inversion.
        workdir: the directory of its results.
        priors: the priors by name.
        command: the command line.
        snr: from `noise_record`, or None.

    Raises:
        UserError: if the directory cannot be written, or has results of another config
            or of priors that have changed.
    """
    path = os.path.join(workdir, "config.json")
    made = provenance(command)
    try:
        with waiting(f"{path}.lock"):  # Several shards may come at the same time.
            record = _joined_record(run, workdir, priors)
            _note(record, made, snr or {})
            save_config(record, path)
    except OSError as error:
        raise UserError(
            f"--workdir={workdir}: cannot be written ({error.strerror})"
        ) from error


def _joined_record(run: InversionRun, workdir: str, priors: dict[str, Prior]) -> dict:
    """Adds this run and its priors to the contents of `config.json`.

    Raises:
        UserError: if the directory has results of another config or of other priors.
    """
    path = os.path.join(workdir, "config.json")
    free = FREE_FIELDS + (PLACES if data.has_record(workdir) else ())
    record = _read_record(path)
    shared = record.setdefault("shared", next(iter(record["methods"].values()), None))
    _compare(path, shared, run.record, free + METHOD_FIELDS)
    record["shared"] = run.record
    for label, one in run.records.items():
        _compare(path, record["methods"].get(label), one, free)
        record["methods"][label] = one
    for name, prior in priors.items():
        found = checksum(prior.variables)
        if record["priors"].setdefault(name, found) != found:
            raise UserError(
                f"{path}: found results of another network called {name}, expected "
                f"those of config.priors.{name}; choose another --workdir"
            )
    return record


def _note(record: dict, made: dict, snr: dict) -> None:
    """Adds the noise, and a command line with its versions unless it is there."""
    for label, problems in snr.items():
        known = record.setdefault("snr", {}).setdefault(label, {})
        for problem, levels in problems.items():
            known[problem] = known.get(problem, {}) | levels
    commands = record.setdefault("commands", [])
    if made["command"] not in commands:
        commands.append(made["command"])
    record |= {name: value for name, value in made.items() if name != "command"}


def check_images(images: Subjects, workdir: str) -> None:
    """Raises UserError if the directory has results of other images.

    The number of images may differ, but the first ones must be the same. They are
    compared by content.
    """
    record = data.read_record(workdir)
    if record and (differs := data.difference(record, images, prefix=True)):
        raise UserError(
            f"{os.path.join(workdir, data.RECORD)}: found {images.describe()}: "
            f"{differs}, expected {record['says']}, as for the results so far; choose "
            "another --workdir"
        )


def record_images(images: Subjects, workdir: str, warnings: dict[str, str]) -> None:
    """Records the images of the results, together with those of earlier runs.

    Args:
        images: the images of this run, which `check_images` has compared.
        workdir: the directory of the results.
        warnings: {prior: warning}; those of other priors are kept.
    """
    path = os.path.join(workdir, data.RECORD)
    with waiting(f"{path}.lock"):  # Shards may come at the same time.
        record = data.read_record(workdir)
        if len(record.get("names", ())) <= len(images):
            record |= data.record_of(images)
        record["warnings"] = record.get("warnings", {}) | warnings
        data.write_record(record, workdir)


def _compare(path: str, old: dict | None, new: dict, free: tuple[str, ...]) -> None:
    """Raises UserError if `new` differs from `old` in a field that must not change."""
    if old is not None and (field := first_difference(old, new, free)):
        raise UserError(
            f"{path}: found results with another config.{field}, expected the same; "
            "choose another --workdir"
        )


_YOUNGER: dict[Any, dict[str, Any]] = {
    "ilo": {"units": "absolute", "optimizer": "adam", "unit": 1.0},
    "surgery": {"units": "absolute", "prior_weight": 0.0},
    "csgm": {"prior_weight": 0.0},
    "mganprior": {"prior_weight": 0.0},
}


def _read_record(path: str) -> dict:
    if not os.path.exists(path):
        return {"methods": {}, "priors": {}}
    record = read_json(path, "the config of a run")
    if not isinstance(record, dict) or not record.keys() >= {"methods", "priors"}:
        raise UserError(
            f"{path}: found the config of another program, expected one of invert.py"
        )
    for old in (record.get("shared") or {}, *record["methods"].values()):
        # The first version had only one range, which its records do not mention.
        old.setdefault("images", {}).setdefault("range", [-1.0, 1.0])
        # Older records do not mention Poisson noise.
        old.setdefault("noise", "gaussian")
        old.setdefault("peak", 0.0)
        old.setdefault("held_out_fraction", 0.1)
        old.setdefault("precision", "float32")
        method = old.get("method", {})  # gets arguments that were added later
        for name, value in _YOUNGER.get(method.get("name"), {}).items():
            method.setdefault(name, value)
        # Older runs had images of the priors' size, and no finish.
        new = {"window": [], "resolution": 0, "channels": 0}
        old["images"] = new | old["images"]
        for name in ("finish", "measurements", "operator", "truth"):
            old.setdefault(name, "")
    return record
