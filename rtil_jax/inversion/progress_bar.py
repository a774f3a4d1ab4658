"""Shows the progress of an inversion as a bar, or through a function of the caller."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Array
from tqdm import tqdm

from rtil_jax.errors import UserError
from rtil_jax.progress import on_terminal
from rtil_jax.progress import progress as new_bar

# Called after every step with (stage, step, measurement loss of each image).
Progress = Callable[[int, int, Array], None]
SHOW_EVERY = 20  # steps; reading the losses waits for the device


def display(bar: tqdm) -> Progress:
    """Returns a function that advances the bar after each step and updates its loss."""

    def show(stage: int, step: int, loss: Array) -> None:
        if step % SHOW_EVERY == 0 and np.isfinite(loss).any():
            mean = np.nanmean(np.asarray(loss))
            shown = {"stage": stage, "measurement_mse": f"{mean:.3g}"}
            bar.set_postfix(shown, refresh=False)
        bar.update()

    return show


@contextlib.contextmanager
def shown(progress: Any, steps: int, label: str) -> Iterator[Progress | None]:
    """Yields the function that `invert` calls after every step, or None.

    Args:
        progress: the argument of `invert`: True, False, None or a function.
        steps: number of all steps, for the length of the bar.
        label: the text before the bar.

    Raises:
        UserError: if `progress` is neither a function nor True, False or None.
    """
    if progress is True and on_terminal():
        with new_bar(steps, label) as bar:
            yield display(bar)
    elif isinstance(progress, bool) or progress is None:
        yield None
    elif callable(progress):
        yield progress
    else:
        raise UserError(
            f"progress: found {progress!r}, expected True, False, or a function of "
            "(stage, step, losses)"
        )
