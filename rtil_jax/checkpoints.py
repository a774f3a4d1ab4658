"""Checkpoints: Orbax's current API, behind the four things this library needs.

A checkpoint has four items that can be read separately: `train_state` (weights,
optimisers, path means, step), `ema` (the prior), `config` and `data` (the position in
the data). Inversion reads `ema` and `config` alone.

Orbax restores damaged bytes without an error. A CRC-32 of every tree of arrays is
therefore kept in the checkpoint's metadata, and whoever reads passes over damaged
checkpoints, with a warning, to the one before.
"""

import contextlib
import logging
import os
import pathlib
import shutil
import signal
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from rtil_jax.errors import UserError

DIRECTORY = "checkpoints"
CHECKSUMS = "crc32"

# Orbax warns, whenever names and shapes are read, that a config is no tree of arrays.
logging.getLogger("absl").setLevel(logging.ERROR)


class Checkpoints:
    """The checkpoints of one training run, `workdir`/checkpoints.

    Use it as a context manager: saving is asynchronous, and leaving the context waits
    until the last checkpoint is complete.

    Args:
        workdir: the run's directory.
        keep: how many of the newest checkpoints stay.
    """

    def __init__(self, workdir: str, keep: int):
        self._checkpointer = ocp.training.Checkpointer(
            os.path.abspath(os.path.join(workdir, DIRECTORY)),
            preservation_policy=ocp.training.preservation_policies.LatestN(keep),
            cleanup_tmp_directories=True,  # what a killed run was writing
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        self._checkpointer.close()

    def latest_step(self) -> int | None:
        """The newest checkpoint's step, or None."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(self, step: int, state: Any, config: dict) -> None:
        """Saves `state` (a pytree with an attribute `ema`) under `step`.

        Returns before the checkpoint is complete; `state` may be donated at once.
        """
        trees = _items(state)
        items = {**trees, "config": config, "data": {"next_step": step}}
        checksums = {name: checksum(tree) for name, tree in trees.items()}
        with _interrupts_wait():
            self._checkpointer.save_checkpointables_async(
                step, items, force=True, custom_metadata={CHECKSUMS: checksums}
            )

    def restore(self, state: Any) -> Any:
        """The newest checkpoint in the shapes, types and shardings of `state`.

        Damaged checkpoints that are newer are renamed to `STEP.damaged`.

        Raises:
            UserError: if its names or shapes are not those of `state`, or if all
                checkpoints are damaged.
        """
        abstract = jax.tree.map(_abstract, _items(state))
        step, items = _newest(
            self._checkpointer, lambda step: _load(self._checkpointer, step, abstract)
        )
        self._set_aside_after(step)
        return items["train_state"].replace(ema=items["ema"])

    def _set_aside_after(self, step: int) -> None:
        """Renames the checkpoints after `step`: Orbax would keep them as the newest."""
        for checkpoint in self._checkpointer.checkpoints:
            if checkpoint.step > step:
                aside = f"{checkpoint.path}.damaged"
                shutil.rmtree(aside, ignore_errors=True)
                os.rename(checkpoint.path, aside)
        self._checkpointer.reload()


def load_config(workdir: str) -> dict:
    """The training configuration in the newest checkpoint of `workdir`.

    Raises:
        UserError: if `workdir` has no checkpoint that can be read.
    """
    with _open_existing(workdir) as checkpointer:

        def load(step):
            return checkpointer.load_checkpointables(step, {"config": None})["config"]

        return _newest(checkpointer, load)[1]


def load_step(workdir: str) -> int:
    """Finished steps of the newest checkpoint of `workdir` that can be read.

    Raises:
        UserError: if there is none.
    """
    with _open_existing(workdir) as checkpointer:

        def load(step):
            return checkpointer.load_checkpointables(step, {"data": None})["data"]

        return _newest(checkpointer, load)[1]["next_step"]


def load_ema(workdir: str, params: Any) -> Any:
    """The prior in the newest checkpoint of `workdir`, shaped like `params`.

    Raises:
        UserError: if no checkpoint can be read, or its names or shapes are others.
    """
    abstract = {"ema": jax.tree.map(_abstract, params)}
    with _open_existing(workdir) as checkpointer:

        def load(step):
            return _load(checkpointer, step, abstract)["ema"]

        return _newest(checkpointer, load)[1]


def load_weights(workdir: str, state: Any) -> Any:
    """`state` with the networks and EMA of the newest checkpoint of `workdir`.

    Optimisers, step and path means stay those of `state`: the family may be another.

    Raises:
        UserError: if no checkpoint can be read, or its names or shapes are others.
    """
    with _open_existing(workdir) as checkpointer:

        def load(step):
            saved = _shapes(_saved_trees(checkpointer, step)["train_state"])
            means = saved.get("path_means")  # one per member of *its* family
            means = None if means is None else np.zeros(means, np.float32)
            like = state.replace(path_means=means)
            abstract = jax.tree.map(_abstract, _items(like))
            return _load(checkpointer, step, abstract)

        _, items = _newest(checkpointer, load)
    source = items["train_state"]
    return state.replace(
        generator=source.generator,
        discriminator=source.discriminator,
        ema=items["ema"],
    )


@contextlib.contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Ctrl-C takes effect after the block: Orbax loses track of half-begun saves."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Ctrl-C is the main thread's affair.
        return
    interrupts = []
    previous = signal.signal(signal.SIGINT, lambda *_: interrupts.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if interrupts:
        raise KeyboardInterrupt


def _items(state: Any) -> dict[str, Any]:
    """The two items that hold arrays."""
    return {"train_state": state.replace(ema=None), "ema": state.ema}


def checksum(tree: Any) -> int:
    """CRC-32 of the bytes of all leaves, in the order of the tree."""
    crc = 0
    for leaf in jax.tree.leaves(tree):
        crc = zlib.crc32(np.ascontiguousarray(leaf), crc)
    return crc


def _saved_trees(checkpointer: ocp.training.Checkpointer, step: int) -> dict:
    """Names and shapes of every item in a checkpoint."""
    return checkpointer.checkpointables_metadata(step).metadata


def _open_existing(workdir: str) -> ocp.training.Checkpointer:
    directory = pathlib.Path(workdir, DIRECTORY).absolute()
    if not directory.is_dir():
        raise UserError(
            f"{workdir}: found no '{DIRECTORY}' folder, expected a directory that "
            "train.py has written a checkpoint to"
        )
    checkpointer = ocp.training.Checkpointer(directory)
    if checkpointer.latest is None:
        checkpointer.close()
        raise UserError(f"{directory}: found no checkpoint, expected at least one")
    return checkpointer


def _newest(
    checkpointer: ocp.training.Checkpointer, load: Callable[[int], Any]
) -> tuple[int, Any]:
    """(step, `load(step)`) of the newest checkpoint that is not damaged.

    Raises:
        UserError: if `load` does, or if all of them are damaged.
    """
    for checkpoint in reversed(checkpointer.checkpoints):
        try:
            return checkpoint.step, load(checkpoint.step)
        except UserError:
            raise
        except Exception as error:  # Orbax raises almost any.
            first_line = str(error).strip().partition("\n")[0]
            logging.getLogger("rtil_jax").warning(
                "%s: passed over a damaged checkpoint (%s: %s)",
                checkpoint.path,
                type(error).__name__,
                first_line,
            )
    raise UserError(f"{checkpointer.directory}: found damaged checkpoints only")


def _abstract(leaf: Any) -> jax.ShapeDtypeStruct:
    sharding = getattr(leaf, "sharding", None)
    if sharding is None:
        sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _load(
    checkpointer: ocp.training.Checkpointer, step: int, abstract: dict[str, Any]
) -> dict[str, Any]:
    """Loads the items of `abstract`, or says how the checkpoint differs from them."""
    saved = _saved_trees(checkpointer, step)
    problems = []
    for item, tree in abstract.items():
        problems += _differences(_shapes(saved[item]), _shapes(tree))
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UserError(
            f"{checkpointer.directory}/{step}: does not fit the config: "
            + "; ".join(problems[:3])
            + more
        )
    items = checkpointer.load_checkpointables(step, abstract)
    metadata = checkpointer.checkpointables_metadata(step).custom_metadata or {}
    for name, expected in metadata.get(CHECKSUMS, {}).items():
        if name in items and checksum(items[name]) != expected:
            raise ValueError(f"the bytes of {name} are not those that were saved")
    return items


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {_name(path): tuple(leaf.shape) for path, leaf in leaves}


def _name(path: tuple) -> str:
    """Dict keys, attributes and tuple positions all become one dotted name."""
    return ".".join(
        str(getattr(entry, "key", getattr(entry, "name", getattr(entry, "idx", entry))))
        for entry in path
    )


def _differences(found: dict, expected: dict) -> list[str]:
    names = sorted(found.keys() | expected.keys())
    return [
        f"{name} is missing"
        if name not in found
        else f"{name} is not expected"
        if name not in expected
        else f"{name} has shape {found[name]}, expected {expected[name]}"
        for name in names
        if found.get(name) != expected.get(name)
    ]
