"""Whether a directory can hold a training run, and what is recorded there.

Of several processes that train as one, process 0 makes it.
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

# A run may be continued with other values of these.
FREE_FIELDS = (
    "training.steps",
    "checkpoint",
    "sample",
    "log",
    "data.cache_dir",
    "init_from",
)
# And of these where it is known which images it was trained on: those are compared.
PLACES = ("data.source", "data.split")


def check_workdir(config: TrainingRun, workdir: str) -> None:
    """Raises UserError if it cannot be written, or is another config's."""
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
    """Raises UserError if the run was trained on others so far, wherever they were."""
    record = data.read_record(workdir)
    if record and (differs := data.difference(record, images)):
        raise UserError(
            f"{os.path.join(workdir, data.RECORD)}: the run so far was trained on "
            f"{record['says']}, found {images.describe()}: {differs}; choose another "
            f"--workdir, with --config.init_from={workdir} to go on from its weights"
        )


def record_images(images: data.ImageSet, workdir: str) -> None:
    """Writes which images the run is trained on. Raises UserError if it cannot."""
    with writing(workdir):
        data.write_record(data.record_of(images), workdir)


def record_config(config: TrainingRun, workdir: str, made: dict) -> None:
    """Writes `config.json`: the config, and what each of its runs was `made` with.

    Raises:
        UserError: if it cannot be written.
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
    for network in ("generator", "discriminator"):  # fields that are younger than some
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
            f"{path}: belongs to a run with another config.{field}: found {was!r}, "
            f"expected {now!r}; choose another --workdir, or --config.{field}={was}"
        )


def _get(values: dict, field: str) -> Any:
    """The value of a dotted field, None where there is none."""
    value: Any = values
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def make_folders(workdir: str) -> None:
    """Raises UserError if they cannot be made."""
    if not distributed.is_lead():
        return
    with writing(workdir):
        os.makedirs(os.path.join(workdir, "samples"), exist_ok=True)


@contextlib.contextmanager
def writing(path: str) -> Iterator[None]:
    """A block that writes to `path`: UserError for a full disk and its like."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); once it can be, the same "
            "command continues from the last checkpoint"
        ) from error
