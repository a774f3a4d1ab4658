"""Whether a directory can hold an inversion's results beside those it has."""

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

# Results of one directory may differ in these.
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
# And in these where it is known which images they are of: those are compared.
PLACES = (
    "images.source",
    "images.split",
    "images.resolution",
    "images.channels",
    "measurements",
)
# And from method to method in these.
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
        UserError: if it cannot be written, or is one of training.
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
    """Raises UserError as `make_workdir` and `claim_workdir` would; writes nothing."""
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
        raise UserError(f"--workdir={workdir}: found a training run, expected another")


def claim_workdir(
    run: InversionRun,
    workdir: str,
    priors: dict[str, Prior],
    command: str,
    snr: dict | None = None,
) -> None:
    """Records the config, the priors' checksums, and the noise in decibels.

    `config.json` has the effective config of every label under `methods`, and under
    `shared` what all labels have in common; `snr` is what `noise_record` returns.

    Raises:
        UserError: if the directory cannot be written, or has results of another config
            or of priors that have changed since.
    """
    path = os.path.join(workdir, "config.json")
    made = provenance(command)
    try:
        with waiting(f"{path}.lock"):  # Shards may come at the same time.
            record = _joined_record(run, workdir, priors)
            _note(record, made, snr or {})
            save_config(record, path)
    except OSError as error:
        raise UserError(
            f"--workdir={workdir}: cannot be written ({error.strerror})"
        ) from error


def _joined_record(run: InversionRun, workdir: str, priors: dict[str, Prior]) -> dict:
    """What `config.json` has, with this run and these priors in it.

    Raises:
        UserError: if it has results of another config or of other priors.
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
                f"{path}: config.priors.{name} was another network when its results "
                "were made; choose another --workdir"
            )
    return record


def _note(record: dict, made: dict, snr: dict) -> None:
    """Adds the noise, and a command line, once, with what it ran with."""
    for label, problems in snr.items():
        known = record.setdefault("snr", {}).setdefault(label, {})
        for problem, levels in problems.items():
            known[problem] = known.get(problem, {}) | levels
    commands = record.setdefault("commands", [])
    if made["command"] not in commands:
        commands.append(made["command"])
    record |= {name: value for name, value in made.items() if name != "command"}


def check_images(images: Subjects, workdir: str) -> None:
    """Raises UserError unless its results are of the same images, wherever they are.

    There may be more or fewer of them: the first ones must be the same.
    """
    record = data.read_record(workdir)
    if record and (differs := data.difference(record, images, prefix=True)):
        raise UserError(
            f"{os.path.join(workdir, data.RECORD)}: its results are of "
            f"{record['says']}, found {images.describe()}: {differs}; choose another "
            "--workdir"
        )


def record_images(images: Subjects, workdir: str, warnings: dict[str, str]) -> None:
    """Records the images of the results, those of earlier runs included.

    Args:
        images: of this run, which `check_images` has compared.
        workdir: the directory of the results.
        warnings: by prior; kept with those of other priors.
    """
    path = os.path.join(workdir, data.RECORD)
    with waiting(f"{path}.lock"):  # Shards may come at the same time.
        record = data.read_record(workdir)
        if len(record.get("names", ())) <= len(images):
            record |= data.record_of(images)
        record["warnings"] = record.get("warnings", {}) | warnings
        data.write_record(record, workdir)


def _compare(path: str, old: dict | None, new: dict, free: tuple[str, ...]) -> None:
    """Raises UserError if `new` differs from `old` in a field that is not free."""
    if old is not None and (field := first_difference(old, new, free)):
        raise UserError(
            f"{path}: its results have another config.{field}; choose another --workdir"
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
            f"{path}: found a config of another program, expected that of an inversion"
        )
    for old in (record.get("shared") or {}, *record["methods"].values()):
        # Records of the first version are of the one range that there was.
        old.setdefault("images", {}).setdefault("range", [-1.0, 1.0])
        # Later ones know of Poisson noise.
        old.setdefault("noise", "gaussian")
        old.setdefault("peak", 0.0)
        old.setdefault("held_out_fraction", 0.1)
        old.setdefault("precision", "float32")
        method = old.get("method", {})  # with the arguments that are younger
        for name, value in _YOUNGER.get(method.get("name"), {}).items():
            method.setdefault(name, value)
        # And of no other size than the priors', and without a finish.
        new = {"window": [], "resolution": 0, "channels": 0}
        old["images"] = new | old["images"]
        for name in ("finish", "measurements", "operator", "truth"):
            old.setdefault(name, "")
    return record
