"""Writes `metrics.jsonl`, with a line per logged step."""

import json
import os
import time

from rtil_jax import distributed
from rtil_jax.experiments.training.training_workdir import writing
from rtil_jax.files import replacing

NAME = "metrics.jsonl"


class MetricsFile:
    """The file `workdir`/metrics.jsonl, to which lines are appended.

    A killed run may have logged steps after its last checkpoint. These lines are
    dropped, because the resumed run makes the steps again. Metrics that are not
    measured at every step keep their last value. If several processes train together,
    all of them keep the values, and process 0 writes them.

    Args:
        workdir: the run's directory.
        step: number of finished steps.
        images: number of images read in these steps, for the rate.
        latest: the newest value of each metric after these steps.

    Raises:
        UserError: if the file cannot be written.
    """

    def __init__(self, workdir: str, step: int, images: int, latest: dict[str, float]):
        self._path = os.path.join(workdir, NAME)
        self._images = images
        self._time = time.perf_counter()
        self.latest = latest
        if distributed.is_lead() and os.path.exists(self._path):
            with writing(self._path):
                self._drop_after(step)

    def _drop_after(self, step: int) -> None:
        with open(self._path, errors="replace") as file:
            lines = [text for text in file if 0 <= _step(text) <= step]
        with replacing(self._path) as file:
            file.writelines(text.rstrip("\n") + "\n" for text in lines)

    def write(self, step: int, images: int, metrics: dict[str, float]) -> dict:
        """Appends a line with the newest metrics and the rate since the last line.

        The line is on the disk when this returns, so a checkpoint that is saved
        afterwards is never newer than its metrics.

        Args:
            step: number of finished steps.
            images: number of images read in these steps.
            metrics: the newest values, all finite.

        Returns:
            The values of the line.

        Raises:
            UserError: if the file cannot be written.
        """
        now = time.perf_counter()
        rate = (images - self._images) / (now - self._time)
        self._images, self._time = images, now
        self.latest = dict(sorted((self.latest | metrics).items()))
        line = {"step": step, **self.latest, "images_per_second": rate}
        if distributed.is_lead():
            self._append(json.dumps(line))
        return line

    def _append(self, line: str) -> None:
        with writing(self._path), open(self._path, "a") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())


def _step(line: str) -> int:
    """Returns the step of a line; -1 for an incomplete line of a killed run."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError):
        return -1
