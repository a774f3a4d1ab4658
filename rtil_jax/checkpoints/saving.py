"""Saves the checkpoints of a training run, and restores the newest one."""

import concurrent.futures
import contextlib
import os
import re
import shutil
from typing import Any

import jax

from rtil_jax import distributed
from rtil_jax.checkpoints.checksums import checksum, is_sealed, seal
from rtil_jax.checkpoints.loading import (
    ALL,
    CHECKSUMS,
    DIRECTORY,
    abstract_leaf,
    array_items,
    item,
    load_arrays,
    newest,
)
from rtil_jax.checkpoints.orbax import orbax, quiet
from rtil_jax.errors import UserError

_REASONS = re.compile(
    "No space left on device|Disk quota exceeded|File too large|"
    "Read-only file system|Permission denied|Input/output error"
)


class Checkpoints:
    """The checkpoints of one training run, in `workdir`/checkpoints.

    Use it as a context manager: saving is asynchronous, and leaving the context waits
    until the last checkpoint is complete. Orbax logs nothing before that.

    Args:
        workdir: the run's directory.
        keep: how many of the newest checkpoints to keep.
        keep_every: also keep the checkpoints at multiples of this number of steps; 0
            keeps none of them.
    """

    def __init__(self, workdir: str, keep: int, keep_every: int = 0):
        self._quiet = contextlib.ExitStack()
        self._quiet.enter_context(quiet())
        ocp = orbax()
        policies = ocp.training.preservation_policies
        kept = [policies.LatestN(keep)]
        if keep_every:
            kept.append(policies.EveryNSteps(keep_every))
        self._checkpointer = ocp.training.Checkpointer(
            os.path.abspath(os.path.join(workdir, DIRECTORY)),
            preservation_policy=policies.AnyPreservationPolicy(kept),
            cleanup_tmp_directories=True,  # what a killed run was writing
        )
        self._background = concurrent.futures.ThreadPoolExecutor(1)
        self._saving: tuple[int, concurrent.futures.Future] | None = None

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.wait()
        finally:
            self._background.shutdown()
            with contextlib.suppress(Exception):  # `wait` has raised it already
                self._checkpointer.close()
            self._quiet.close()

    def latest_step(self) -> int | None:
        """The step of the newest checkpoint, or None."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(self, step: int, state: Any, config: dict, **progress: Any) -> None:
        """Saves the state of a run as a checkpoint.

        It returns before the checkpoint is complete; `state` may be donated at once.

        Args:
            step: number of finished steps.
            state: a pytree of arrays with an attribute `ema`.
            config: the config of the run, which JSON can write.
            **progress: what else the run must remember, numbers and dicts of them.

        Raises:
            UserError: if this checkpoint or the one before cannot be written.
        """
        self.wait()
        trees = array_items(state)
        data = {"next_step": step, **progress}
        checksums = {}
        if distributed.is_lead():  # it writes the metadata
            checksums = {name: checksum(tree) for name, tree in trees.items()}
        try:
            response = self._checkpointer.save_checkpointables_async(
                step,
                {**trees, "config": config, "data": data},
                force=True,
                custom_metadata={CHECKSUMS: checksums},
            )
        except Exception as error:  # Orbax may raise almost anything.
            raise self._cannot_write(step, error) from error
        self._saving = step, self._background.submit(self._complete, step, response)

    def _complete(self, step: int, response: Any) -> None:
        response.result()
        if distributed.is_lead():
            seal(os.path.join(self._checkpointer.directory, str(step)))

    def check(self) -> None:
        """Raises UserError if a checkpoint has failed; does not wait for any."""
        if self._saving is not None and self._saving[1].done():
            self.wait()

    def wait(self) -> None:
        """Waits until the last checkpoint is complete.

        Raises:
            UserError: if it cannot be written.
        """
        if self._saving is None:
            return
        (step, future), self._saving = self._saving, None
        try:
            future.result()
        except Exception as error:  # likewise
            raise self._cannot_write(step, error) from error

    def _cannot_write(self, step: int, error: Exception) -> UserError:
        text = str(error)
        known = _REASONS.search(text)
        reason = known[0] if known else text.strip().partition("\n")[0]
        directory = self._checkpointer.directory
        complete = [int(name) for name in os.listdir(directory) if name.isdigit()]
        last = f"checkpoint {max(complete)}" if complete else "the start"
        return UserError(
            f"{directory}/{step}: cannot be written ({reason}); once that is mended, "
            f"the same command continues from {last}"
        )

    def restore(self, state: Any) -> Any:
        """Loads the newest checkpoint, with the shapes and shardings of `state`.

        Newer checkpoints that are damaged are renamed to `STEP.damaged`.

        Raises:
            UserError: if its names or shapes differ from those of `state`, or if all
                checkpoints are damaged.
        """
        self.wait()
        abstract = jax.tree.map(abstract_leaf, array_items(state))
        step, items = newest(
            self._checkpointer,
            ALL,
            lambda step: load_arrays(self._checkpointer, step, abstract),
        )
        self._set_aside_after(step)
        path = os.path.join(self._checkpointer.directory, str(step))
        if distributed.is_lead() and not is_sealed(path):  # A killed run saved it.
            seal(path)
        return items["train_state"].replace(ema=items["ema"])

    def progress(self) -> dict[str, Any]:
        """Returns the `progress` that the newest checkpoint was saved with, or {}."""
        self.wait()
        latest = self.latest_step()
        data = {} if latest is None else item(self._checkpointer, latest, "data")
        return {name: value for name, value in data.items() if name != "next_step"}

    def _set_aside_after(self, step: int) -> None:
        """Renames checkpoints after `step`, which Orbax would keep as the newest."""
        for checkpoint in self._checkpointer.checkpoints:
            if distributed.is_lead() and checkpoint.step > step:
                aside = f"{checkpoint.path}.damaged"
                shutil.rmtree(aside, ignore_errors=True)
                os.rename(checkpoint.path, aside)
        distributed.wait_for_all("damaged checkpoints are aside")
        self._checkpointer.reload()
