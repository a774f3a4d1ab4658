"""The rows of `results.csv`, sorted and grouped."""

import csv
import math
import os
import warnings
from collections.abc import Sequence
from typing import Any

from rtil_jax.errors import UserError
from rtil_jax.files import read_json

Row = dict[str, Any]
# The schema of results.csv. The columns up to `select` tell one reconstruction from
# another.
COLUMNS = {
    "image": str,
    "prior": str,
    "method": str,
    "problem": str,
    "ratio": float,
    "select": str,
    "psnr": float,
    "ssim": float,
    "lpips": float,
    "measurement_mse": float,
    "seconds": float,
    "status": str,
}
NUMBERS = tuple(column for column, kind in COLUMNS.items() if kind is float)


def read_results(path: str) -> list[Row]:
    """The rows of a `results.csv`, numbers as floats and empty ones as nan.

    An unfinished last line, left by an interrupted run, is ignored with a warning.

    Raises:
        UserError: if the file, a column or a field is missing, or is not a number.
    """
    if not os.path.exists(path):
        raise UserError(f"{path}: not found, expected the results of an inversion")
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        lines = list(file)
    if lines and not lines[-1].endswith("\n"):
        warnings.warn(f"{path}: ignored the truncated last line", stacklevel=2)
        lines.pop()
    reader = csv.DictReader(lines)
    columns = reader.fieldnames or ()
    missing = [c for c in COLUMNS if c not in columns]
    if lines and missing:
        raise UserError(f"{path}: found no column {', '.join(missing)}")
    return [_parse(row, f"{path}, line {reader.line_num}") for row in reader]


def _parse(row: dict, where: str) -> Row:
    # DictReader files surplus fields under None, and None under missing ones.
    if None in row or None in row.values():
        raise UserError(f"{where}: expected as many fields as the header has")
    try:
        return row | {column: float(row[column] or "nan") for column in NUMBERS}
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def sorted_results(workdir: str) -> list[Row]:
    """The results, sorted; `vanilla` and `measurement` before other names.

    Other priors and methods keep the order of the file, which is the order in which
    the configs name them.

    Raises:
        UserError: if there are no results or they cannot be read.
    """
    path = os.path.join(workdir, "results.csv")
    rows = read_results(path)
    if not rows:
        raise UserError(f"{path}: found no results, expected one line per image")
    methods = names(rows, "method")
    priors = sorted(names(rows, "prior"), key=lambda name: name != "vanilla")

    def order(row: dict) -> tuple:
        # Measurement first: other rules are compared with it.
        select = (row["select"] != "measurement", row["select"])
        setting = (row["problem"], row["ratio"], methods.index(row["method"]))
        return *setting, *select, priors.index(row["prior"])

    return sorted(rows, key=order)


def ratio_name(ratio: float) -> str:
    """A ratio in file names: as short as it can be without being another's."""
    short = f"{ratio:g}"
    return short if float(short) == ratio else repr(float(ratio))


def read_record(workdir: str) -> dict:
    """What `config.json` holds; empty without one."""
    path = os.path.join(workdir, "config.json")
    if not os.path.exists(path):
        return {}
    record = read_json(path, "the config of a run")
    if not isinstance(record, dict):
        raise UserError(
            f"{path}: found a config of another program, expected that of an inversion"
        )
    return record


def names(rows: Sequence[Row], column: str) -> list:
    """The values of a column, each once, in order of appearance."""
    return list(dict.fromkeys(row[column] for row in rows))


def groups(rows: Sequence[Row], *columns: str) -> dict[tuple, list[Row]]:
    """Rows by their values in `columns`, in order of appearance."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in columns), []).append(row)
    return groups


def present_values(rows: Sequence[Row], metric: str) -> list[float]:
    """The values of a column, less those that are missing."""
    return [row[metric] for row in rows if not math.isnan(row[metric])]
