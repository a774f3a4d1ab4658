"""What TensorBoard shows of a run: scalars and grids of samples."""

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
    """Raises UserError, which says what to install, if there is no writer."""
    if importlib.util.find_spec("tensorboardX") is None:
        raise UserError(
            "config.log.tensorboard: found no package tensorboardX, expected it; "
            "pip install tensorboardX"
        )


class Board:
    """Writes events; without a writer it does nothing."""

    def __init__(self, writer: Any):
        self._writer = writer

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """The numbers of a line of `metrics.jsonl`, but for the step itself."""
        if self._writer is not None:
            for name, value in values.items():
                if name != "step":
                    self._writer.add_scalar(name, value, step)
            self._writer.flush()

    def picture(self, step: int, path: str) -> None:
        """A PNG of samples."""
        if self._writer is not None:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
            self._writer.add_image("samples", pixels, step, dataformats="HWC")
            self._writer.flush()


@contextlib.contextmanager
def open_board(workdir: str, step: int, wanted: bool) -> Iterator[Board]:
    """Events in `workdir`/tensorboard, for `tensorboard --logdir WORKDIR`.

    Args:
        workdir: the run's directory.
        step: finished steps; TensorBoard forgets what an earlier, killed run wrote of
            later ones.
        wanted: without, nothing is written.
    """
    if not wanted:
        yield Board(None)
        return
    from tensorboardX import SummaryWriter  # an extra

    folder = os.path.join(workdir, FOLDER)
    with SummaryWriter(folder, purge_step=step + 1) as writer:
        yield Board(writer)
