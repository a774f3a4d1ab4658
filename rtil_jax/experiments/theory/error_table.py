"""The results of the experiment: a row for each number of measurements and model."""

import csv
import dataclasses

from rtil_jax.files import replacing


@dataclasses.dataclass(frozen=True)
class ErrorRow:
    """A row of `results.csv`: the error of one model for one number of measurements.

    Attributes:
        measurements: m, the number of measurements.
        model: `vanilla` or `rtil`.
        solved_by: `closed_form` or `gradient_descent`, for W_1 and for the recovery.
        mean_error: mean of ||x - G~(z^_0, z^_1)||^2 over operators and signals.
        standard_error: standard error of that mean; draws that share an A count once.
        expected_error: mean over the same operators of the closed form of E ||.||^2,
            with the weights of Lemmas 5.1 and A.1.
        bound: the right-hand side of (8).
        sharper_bound: the bound before it in the proof.
    """

    measurements: int
    model: str
    solved_by: str
    mean_error: float
    standard_error: float
    expected_error: float
    bound: float
    sharper_bound: float


def write_rows(rows: list[ErrorRow], path: str) -> None:
    """Writes the rows as CSV, replacing the file in one step."""
    columns = [field.name for field in dataclasses.fields(ErrorRow)]
    with replacing(path) as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(map(dataclasses.asdict, rows))
