"""Reads the rows of `results.csv`, sorts and groups them."""

import csv
import math
import os
import warnings
from collections.abc import Sequence
from typing import Any

from rtil_jax.errors import UserError
from rtil_jax.files import read_json

Row = dict[str, Any]
# The columns of results.csv. Those up to `select` identify a reconstruction.
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
    """Reads the rows of a `results.csv`; numbers become floats, empty ones NaN.

    An incomplete last line, left by an interrupted run, is ignored with a warning.

    Raises:
        UserError: if the file, a column or a field is missing, or is not a number.
    """
    if not os.path.exists(path):
        raise UserError(f"{path}: found no such file, expected results of an inversion")
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        lines = list(file)
    if lines and not lines[-1].endswith("\n"):
        warnings.warn(f"{path}: ignored an incomplete last line", stacklevel=2)
        lines.pop()
    reader = csv.DictReader(lines)
    columns = reader.fieldnames or ()
    missing = [c for c in COLUMNS if c not in columns]
    if lines and missing:
        raise UserError(f"{path}: found no column {', '.join(missing)}, expected it")
    return [_parse(row, f"{path}, line {reader.line_num}") for row in reader]


def _parse(row: dict, where: str) -> Row:
    # DictReader files surplus fields under None, and None under missing ones.
    if None in row or None in row.values():
        raise UserError(
            f"{where}: found another number of fields than in the header, expected "
            "the same"
        )
    try:
        return row | {column: float(row[column] or "nan") for column in NUMBERS}
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def sorted_results(workdir: str) -> list[Row]:
    """Reads the results of a directory, with `vanilla` and `measurement` first.

    Other priors and methods stay in the order of the file, which is the order in which
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
        # `measurement` comes first, because other rules are compared with it.
        select = (row["select"] != "measurement", row["select"])
        setting = (row["problem"], row["ratio"], methods.index(row["method"]))
        return *setting, *select, priors.index(row["prior"])

    return sorted(rows, key=order)


def ratio_name(ratio: float) -> str:
    """Writes a ratio for file names, as short as possible but unique."""
    short = f"{ratio:g}"
    return short if float(short) == ratio else repr(float(ratio))


def read_record(workdir: str) -> dict:
    """Reads `config.json`; {} without one."""
    path = os.path.join(workdir, "config.json")
    if not os.path.exists(path):
        return {}
    record = read_json(path, "the config of a run")
    if not isinstance(record, dict):
        raise UserError(
            f"{path}: found the config of another program, expected one of invert.py"
        )
    return record


def names(rows: Sequence[Row], column: str) -> list:
    """Returns the values of a column, each once, in order of appearance."""
    return list(dict.fromkeys(row[column] for row in rows))


def groups(rows: Sequence[Row], *columns: str) -> dict[tuple, list[Row]]:
    """Groups rows by their values in `columns`, in order of appearance."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in columns), []).append(row)
    return groups


def present_values(rows: Sequence[Row], metric: str) -> list[float]:
    """Returns the values of a column without missing ones."""
    return [row[metric] for row in rows if not math.isnan(row[metric])]
