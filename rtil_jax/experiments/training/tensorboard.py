"""Writes scalars and grids of samples of a run for TensorBoard."""

import contextlib
import importlib.util
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image

from rtil_jax.errors import UserError

FOLDER = "tensorboard"


def require_writer() -> None:
    """Raises UserError, which says what to install, if the writer is missing."""
    if importlib.util.find_spec("tensorboardX") is None:
        raise UserError(
            "config.log.tensorboard: found no package tensorboardX, expected pip "
            "install tensorboardX"
        )


class Board:
    """Writes events for TensorBoard; without a writer it does nothing."""

    def __init__(self, writer: Any):
        self._writer = writer

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Writes the numbers of a line of `metrics.jsonl`, except the step."""
        if self._writer is not None:
            for name, value in values.items():
                if name != "step":
                    self._writer.add_scalar(name, value, step)
            self._writer.flush()

    def picture(self, step: int, path: str) -> None:
        """Writes a PNG of samples."""
        if self._writer is not None:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
            self._writer.add_image("samples", pixels, step, dataformats="HWC")
            self._writer.flush()


@contextlib.contextmanager
def open_board(workdir: str, step: int, wanted: bool) -> Iterator[Board]:
    """Opens a board that writes to `workdir`/tensorboard.

    `tensorboard --logdir WORKDIR` shows it.

    Args:
        workdir: the run's directory.
        step: number of finished steps; TensorBoard drops later steps, which an earlier,
            killed run has written.
        wanted: whether to write anything.
    """
    if not wanted:
        yield Board(None)
        return
    from tensorboardX import SummaryWriter  # an extra

    folder = os.path.join(workdir, FOLDER)
    with SummaryWriter(folder, purge_step=step + 1) as writer:
        yield Board(writer)
