"""Lemma 5.2 over the number of measurements: `results.csv` and a figure of it."""

import os
from collections.abc import Iterator

import jax
import numpy as np
from ml_collections import ConfigDict

from rtil_jax.config import first_difference, plain, require, save_config
from rtil_jax.errors import UserError
from rtil_jax.experiments.theory.error_table import ErrorRow, write_rows
from rtil_jax.experiments.theory.figure import draw_errors
from rtil_jax.files import local_path, read_json
from rtil_jax.theory.closed_forms import (
    Truth,
    draw_signals,
    draw_truth,
    error_bound,
    expected_error,
    recover,
    sharper_bound,
    trained_weights,
)
from rtil_jax.theory.learning import (
    FAMILIES,
    invert_learned,
    linear_generator,
    train,
    variables_of,
)


def run_theory(config: ConfigDict, workdir: str) -> None:
    """Computes everything anew, prints it, and writes it into `workdir`.

    Raises:
        UserError: for a config or directory that cannot be used.
    """
    workdir = local_path(workdir, "--workdir")
    check_theory_config(config)
    claim_directory(config, workdir)
    rng = np.random.default_rng(config.seed)
    size = config.resolution**2
    truth = draw_truth(rng, config.latent_dim, config.num_features, size)
    rows = []
    for row in (*closed_form_rows(config, truth), *learned_rows(config, truth)):
        print(
            f"m = {row.measurements:3}  {row.model:7}  {row.solved_by:16}  error "
            f"{row.mean_error:9.3g} +- {row.standard_error:8.2g}  expected "
            f"{row.expected_error:9.3g}  bound {row.bound:.3g}"
        )
        rows.append(row)
    write_rows(rows, os.path.join(workdir, "results.csv"))
    path = os.path.join(workdir, "figures", "errors.png")
    draw_errors(rows, config.num_features, path)
    print(f"figure  {path}")


def check_theory_config(config: ConfigDict) -> None:
    """Raises UserError if the dimensions are not those of Section 5.1, or empty."""
    n0, n1, nd = config.latent_dim, config.num_features, config.resolution**2
    require(n0 >= 1, "latent_dim", n0, "at least 1")
    require(n1 > n0, "num_features", n1, f"more than latent_dim ({n0})")
    above = f"more than {n1} pixels, num_features ({config.resolution}^2 = {nd})"
    require(nd > n1, "resolution", config.resolution, above)
    lists = ("measurements", n0, config), ("learned.measurements", n1, config.learned)
    for field, fewest, section in lists:
        found = tuple(section.measurements)
        fits = all(isinstance(m, int) and fewest <= m < nd for m in found)
        expected = f"whole numbers from {fewest} to {nd - 1}"
        require(bool(found) and fits, field, found, expected)
    counts = {"operators": config.operators, "learned.signals": config.learned.signals}
    for field, count in counts.items():
        require(count >= 2, field, count, "at least 2, for a standard error")
    require(config.signals >= 1, "signals", config.signals, "at least 1")
    for section in ("training", "inversion"):
        for name, value in config.learned[section].items():
            require(value > 0, f"learned.{section}.{name}", value, "above 0")


def claim_directory(config: ConfigDict, workdir: str) -> None:
    """Makes the directory and records the config.

    Raises:
        UserError: if it cannot be written, or holds what another config made.
    """
    path = os.path.join(workdir, "config.json")
    try:
        if os.path.exists(path):
            found = read_json(path, "the config of a run")
            if not isinstance(found, dict):
                raise UserError(
                    f"{path}: found another program's, expected --config's fields"
                )
            if field := first_difference(found, plain(config), free=()):
                raise UserError(
                    f"{path}: found another {field}, expected that of --config; choose "
                    "another --workdir"
                )
        os.makedirs(os.path.join(workdir, "figures"), exist_ok=True)
        save_config(plain(config), path)
    except OSError as error:
        raise UserError(
            f"--workdir={workdir}: cannot be written ({error.strerror})"
        ) from error


def closed_form_rows(config: ConfigDict, truth: Truth) -> Iterator[ErrorRow]:
    """Both models, solved exactly; the search for z_1 starts at a draw, as in (5)."""
    rng = np.random.default_rng(config.seed + 1)
    models = trained_weights(truth)
    nd, n1 = truth.w1.shape
    for m in config.measurements:
        errors: dict[str, list[float]] = {model: [] for model in models}
        matrices = rng.standard_normal((config.operators, m, nd))
        for matrix in matrices:
            x = draw_signals(rng, truth, config.signals)
            start = rng.standard_normal((config.signals, n1))
            for model, w1 in models.items():
                found = recover(truth.w0, w1, matrix, x @ matrix.T, start)
                errors[model].append(np.mean(np.sum((x - found) ** 2, axis=1)))
        for model in models:
            yield _row(truth, matrices, model, "closed_form", np.array(errors[model]))


def learned_rows(config: ConfigDict, truth: Truth) -> Iterator[ErrorRow]:
    """Both models, trained by the library and inverted by its ILO.

    Raises:
        UserError: if training diverges.
    """
    generator = linear_generator(truth)
    true_variables = variables_of(truth.w0, truth.w1)
    train_key, invert_key = jax.random.split(jax.random.key(config.seed))
    settings = config.learned
    models = {
        name: train(generator, family, true_variables, train_key, **settings.training)
        for name, family in FAMILIES.items()
    }
    rate = settings.training.learning_rate
    finite = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(models))
    require(finite, "learned.training.learning_rate", rate, "less: training diverged")
    rng = np.random.default_rng(config.seed + 2)
    for m in settings.measurements:
        x = draw_signals(rng, truth, settings.signals)
        matrices = rng.standard_normal((settings.signals, m, truth.w1.shape[0]))
        for model, variables in models.items():
            found = invert_learned(
                generator, variables, x, matrices, invert_key, **settings.inversion
            )
            errors = np.sum((x - found) ** 2, axis=1)
            yield _row(truth, matrices, model, "gradient_descent", errors)


def _row(
    truth: Truth,
    matrices: np.ndarray,
    model: str,
    solved_by: str,
    errors: np.ndarray,
) -> ErrorRow:
    """`errors` holds one number per matrix, or the mean of its signals."""
    w1 = trained_weights(truth)[model]
    return ErrorRow(
        measurements=matrices.shape[1],
        model=model,
        solved_by=solved_by,
        mean_error=float(np.mean(errors)),
        standard_error=float(np.std(errors, ddof=1) / np.sqrt(len(errors))),
        expected_error=float(np.mean([expected_error(truth, w1, a) for a in matrices])),
        bound=error_bound(truth),
        sharper_bound=sharper_bound(truth),
    )
