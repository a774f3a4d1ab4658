"""`metrics.jsonl`: one line per logged step, with the newest value of every metric."""

import json
import os
import time

import numpy as np

from rtil_jax.errors import UserError

NAME = "metrics.jsonl"


class MetricsFile:
    """Appends to `workdir`/metrics.jsonl, continuing where step `step` left it.

    A killed run may have logged steps after its last checkpoint; those lines are
    dropped, because the resumed run takes the steps again. Metrics that are not
    measured at every step keep their last value from line to line, across restarts
    too if there is a line for every checkpoint.

    Args:
        workdir: the run's directory.
        step: number of finished steps.
        images: read in those steps, for the rate.
    """

    def __init__(self, workdir: str, step: int, images: int):
        self._path = os.path.join(workdir, NAME)
        self._step, self._images = step, images
        self._time = time.perf_counter()
        self.latest = {}
        if os.path.exists(self._path):
            self._drop_after(step)

    def _drop_after(self, step: int) -> None:
        with open(self._path) as file:
            lines = [
                line for line in map(_parse, file) if line and line["step"] <= step
            ]
        partial = f"{self._path}.partial"
        with open(partial, "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        os.replace(partial, self._path)
        if lines:
            self.latest = lines[-1]

    def write(self, step: int, images: int, metrics: dict) -> dict:
        """Logs `metrics` (name -> scalar) and the rate since the last line.

        Args:
            step: number of finished steps.
            images: read in those steps.
            metrics: newest values.

        Returns:
            The whole line.

        Raises:
            UserError: if a metric is not finite; nothing is written then.
        """
        metrics = {name: float(value) for name, value in metrics.items()}
        for name, value in metrics.items():
            if not np.isfinite(value):
                raise UserError(
                    f"training diverged: {name} became {value} within steps "
                    f"[{self._step}, {step}]; the last checkpoint is kept"
                )
        now = time.perf_counter()
        rate = (images - self._images) / (now - self._time)
        self._step, self._images, self._time = step, images, now
        line = {"step": step, **metrics, "images_per_second": rate}
        self.latest = self.latest | line
        with open(self._path, "a") as file:
            file.write(json.dumps(self.latest) + "\n")
        return self.latest


def _parse(line: str) -> dict | None:
    """None for a line that a killed run left unfinished."""
    try:
        return json.loads(line)
    except ValueError:
        return None
