"""`rtil theory`: tests Lemma 5.2 for several numbers of measurements."""

import dataclasses
import os
from collections.abc import Iterator

import jax
import numpy as np
from ml_collections import ConfigDict

from rtil_jax.config import first_difference, require, save_config
from rtil_jax.errors import UserError
from rtil_jax.experiments.parsing import as_json
from rtil_jax.experiments.theory.error_table import ErrorRow, write_rows
from rtil_jax.experiments.theory.figure import draw_errors
from rtil_jax.experiments.theory.theory_config import TheoryRun, parse_theory
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
    """Computes and prints the errors, and writes `results.csv` and a figure.

    Raises:
        UserError: if a config or directory cannot be used.
    """
    workdir = local_path(workdir, "--workdir")
    run = parse_theory(config)
    claim_directory(run, workdir)
    rng = np.random.default_rng(run.seed)
    size = run.resolution**2
    truth = draw_truth(rng, run.latent_dim, run.num_features, size)
    rows = []
    for row in (*closed_form_rows(run, truth), *learned_rows(run, truth)):
        print(
            f"m = {row.measurements:3}  {row.model:7}  {row.solved_by:16}  error "
            f"{row.mean_error:9.3g} +- {row.standard_error:8.2g}  expected "
            f"{row.expected_error:9.3g}  bound {row.bound:.3g}"
        )
        rows.append(row)
    write_rows(rows, os.path.join(workdir, "results.csv"))
    path = os.path.join(workdir, "figures", "errors.png")
    draw_errors(rows, run.num_features, path)
    print(f"figure  {path}")


def claim_directory(run: TheoryRun, workdir: str) -> None:
    """Makes the directory and records the config.

    Raises:
        UserError: if it cannot be written, or holds results of another config.
    """
    path = os.path.join(workdir, "config.json")
    try:
        if os.path.exists(path):
            found = read_json(path, "the config of a run")
            if not isinstance(found, dict):
                raise UserError(
                    f"{path}: found the config of another program, expected one of "
                    "rtil theory"
                )
            if field := first_difference(found, as_json(run), free=()):
                raise UserError(
                    f"{path}: found another {field}, expected the value of --config; "
                    "choose another --workdir"
                )
        os.makedirs(os.path.join(workdir, "figures"), exist_ok=True)
        save_config(as_json(run), path)
    except OSError as error:
        raise UserError(
            f"--workdir={workdir}: cannot be written ({error.strerror})"
        ) from error


def closed_form_rows(run: TheoryRun, truth: Truth) -> Iterator[ErrorRow]:
    """Yields rows of both models, solved exactly.

    The search for z_1 starts at a random draw, as in (5).
    """
    rng = np.random.default_rng(run.seed + 1)
    models = trained_weights(truth)
    nd, n1 = truth.w1.shape
    for m in run.measurements:
        errors: dict[str, list[float]] = {model: [] for model in models}
        matrices = rng.standard_normal((run.operators, m, nd))
        for matrix in matrices:
            x = draw_signals(rng, truth, run.signals)
            start = rng.standard_normal((run.signals, n1))
            for model, w1 in models.items():
                found = recover(truth.w0, w1, matrix, x @ matrix.T, start)
                errors[model].append(np.mean(np.sum((x - found) ** 2, axis=1)))
        for model in models:
            yield _row(truth, matrices, model, "closed_form", np.array(errors[model]))


def learned_rows(run: TheoryRun, truth: Truth) -> Iterator[ErrorRow]:
    """Yields rows of both models, trained by gradient descent and inverted by ILO.

    Raises:
        UserError: if training diverges.
    """
    generator = linear_generator(truth)
    true_variables = variables_of(truth.w0, truth.w1)
    train_key, invert_key = jax.random.split(jax.random.key(run.seed))
    settings = run.learned
    descent = dataclasses.asdict(settings.training)
    models = {
        name: train(generator, family, true_variables, train_key, **descent)
        for name, family in FAMILIES.items()
    }
    rate = settings.training.learning_rate
    finite = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(models))
    expected = "a smaller rate, because training diverged"
    require(finite, "learned.training.learning_rate", rate, expected)
    rng = np.random.default_rng(run.seed + 2)
    search = dataclasses.asdict(settings.inversion)
    for m in settings.measurements:
        x = draw_signals(rng, truth, settings.signals)
        matrices = rng.standard_normal((settings.signals, m, truth.w1.shape[0]))
        for model, variables in models.items():
            found = invert_learned(
                generator, variables, x, matrices, invert_key, **search
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
    """Makes a row; `errors` has a number per matrix, or the mean over its signals."""
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
