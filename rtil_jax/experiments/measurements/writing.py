"""`rtil measure`: simulates measurements and saves them for `invert.py`."""

import os

import numpy as np
from ml_collections import ConfigDict

from rtil_jax import data
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inputs import (
    image_arguments,
    image_shape,
    load_priors,
)
from rtil_jax.experiments.inversion.inversion_entries import Entry
from rtil_jax.experiments.inversion.inversion_run import InversionRun, parse_inversion
from rtil_jax.experiments.inversion.measuring import problem_of
from rtil_jax.experiments.measurements.array_operators import arrays_of
from rtil_jax.experiments.report.rows import ratio_name
from rtil_jax.files import local_path, replacing


def save_measurements(config: ConfigDict, to: str) -> list[str]:
    """Simulates the measurements that `invert.py` would make, and saves them.

    It writes a `.npz` for each problem, ratio and noise, with y, the operator's arrays
    by name, the names of the images, and the noise. `invert.py` recovers the same
    images from it as from the simulation, to the last bit.

    Args:
        config: the config of an inversion.
        to: a `.npz` for a single problem, ratio and noise, or else a folder.

    Returns:
        The paths that it wrote.

    Raises:
        UserError: if a config, prior or data set cannot be used, or a path cannot be
            written.
    """
    to = local_path(to, "--to")
    run = parse_inversion(config)
    if run.measurements:
        raise UserError(
            f"config.measurements: found {run.measurements}, expected '', because "
            "rtil measure simulates measurements"
        )
    shape = image_shape(run.images, load_priors(run.priors))
    images = data.load_images(**image_arguments(run.images, shape))
    wanted: dict[tuple, Entry] = {}
    for one in run.entries:
        wanted.setdefault((one.problem, one.ratio, one.noise_std, one.noise), one)
    single = to.lower().endswith(".npz")
    if single and len(wanted) > 1:
        settings = ", ".join(f"{p} at {r:g}" for p, r, *_ in wanted)
        raise UserError(
            f"--to={to}: found a file for {len(wanted)} settings ({settings}), "
            "expected a folder, or one problem and ratio"
        )
    paths = []
    try:
        os.makedirs(
            os.path.dirname(os.path.abspath(to)) if single else to, exist_ok=True
        )
        for entry in wanted.values():
            path = to if single else os.path.join(to, _name(entry, list(wanted)))
            _save(path, run, entry, images)
            paths.append(path)
    except OSError as error:
        raise UserError(f"--to={to}: cannot be written ({error.strerror})") from error
    return paths


def _name(entry: Entry, wanted: list[tuple]) -> str:
    noises = {(std, noise) for _, _, std, noise in wanted}
    noise = f"_noise_{entry.noise_std:g}" if len(noises) > 1 else ""
    if entry.noise and noise:
        noise = f"_photons_{entry.noise.peak:g}"
    return f"{entry.problem}_{ratio_name(entry.ratio)}{noise}.npz"


def _save(path: str, run: InversionRun, entry: Entry, images: data.ImageSet) -> None:
    # In the batches of an inversion, because their sizes decide how y is rounded.
    size = min(run.batch_size, len(images))
    found, pieces = [], []
    for first in range(0, len(images), size):
        indices = np.minimum(np.arange(first, first + size), len(images) - 1)
        problem, _ = problem_of(run, entry, images, indices)
        keep = min(size, len(images) - first)
        form, arrays = arrays_of(problem.operators)
        found.append(np.asarray(problem.measurements)[:keep])
        pieces.append({n: x[:keep] if x.ndim else x for n, x in arrays.items()})
    joined = {
        name: np.concatenate([piece[name] for piece in pieces]) if first.ndim else first
        for name, first in pieces[0].items()
    }
    facts = {
        "names": np.array(images.names),
        "problem": entry.problem,
        "form": form,
        "ratio": entry.ratio,
        "noise_std": entry.noise_std,
        "noise": "poisson" if entry.noise else "gaussian",
        "peak": entry.noise.peak if entry.noise else 0.0,
        "range": np.array(run.images.range),
    }
    named = {name: np.asarray(value) for name, value in facts.items()}
    with replacing(path, "wb") as file:
        np.savez(file, y=np.concatenate(found), **joined, **named)  # type: ignore[arg-type]
