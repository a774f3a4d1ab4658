"""Reads checkpoints: loads the newest one that is not damaged."""

import contextlib
import dataclasses
import logging
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from rtil_jax import distributed
from rtil_jax.checkpoints.checksums import checksum, damage, is_sealed
from rtil_jax.checkpoints.orbax import Checkpointer, orbax, quiet
from rtil_jax.errors import UserError

DIRECTORY = "checkpoints"
CHECKSUMS = "crc32"
# The items that inversion reads. All of them must be intact whenever one is read, so
# that weights, step and config come from the same checkpoint.
PRIOR = ("ema", "config", "data")
ALL = ("train_state", *PRIOR)
_warned: set[tuple[str, str]] = set()


class Damaged(Exception):
    """The arrays of a checkpoint differ from those that were saved."""


def load_config(workdir: str) -> dict:
    """Returns the training configuration in the newest checkpoint of `workdir`.

    Raises:
        UserError: if `workdir` has no checkpoint that can be read.
    """
    return _beside_ema(workdir, "config")


def load_step(workdir: str) -> int:
    """Returns the number of finished steps in the newest checkpoint of `workdir`.

    Raises:
        UserError: if `workdir` has no checkpoint that can be read.
    """
    return _beside_ema(workdir, "data")["next_step"]


def _beside_ema(workdir: str, name: str) -> dict:
    """Returns a small item of the checkpoint that `load_ema` finds."""
    with open_existing(workdir) as checkpointer:

        def load(step: int) -> dict:
            if not is_sealed(f"{checkpointer.directory}/{step}"):
                ema = checkpointer.checkpointables_metadata(step).metadata["ema"]
                shapes = jax.tree.map(
                    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), ema
                )
                abstract = jax.tree.map(abstract_leaf, shapes)
                load_arrays(checkpointer, step, {"ema": abstract})
            return item(checkpointer, step, name)

        return newest(checkpointer, PRIOR, load)[1]


def load_ema(workdir: str, shapes_of: Callable[[dict, int], Any]) -> tuple[dict, Any]:
    """Returns (config, prior) of the newest checkpoint of `workdir`.

    Args:
        workdir: a training directory.
        shapes_of: returns the prior's names and shapes for a config and a number of
            finished steps.

    Raises:
        UserError: if no checkpoint can be read, or its names or shapes differ.
    """
    with open_existing(workdir) as checkpointer:

        def load(step: int) -> tuple[dict, Any]:
            config = item(checkpointer, step, "config")
            finished = item(checkpointer, step, "data")["next_step"]
            abstract = jax.tree.map(abstract_leaf, shapes_of(config, finished))
            return config, load_arrays(checkpointer, step, {"ema": abstract})["ema"]

        return newest(checkpointer, PRIOR, load)[1]


def load_weights(workdir: str, state: Any) -> Any:
    """Returns `state` with the networks and EMA of the newest checkpoint of `workdir`.

    Optimisers, step and path means stay those of `state`, because the family may
    differ.

    Raises:
        UserError: if no checkpoint can be read, or its names or shapes differ.
    """
    with open_existing(workdir) as checkpointer:

        def load(step: int) -> dict[str, Any]:
            return load_arrays(checkpointer, step, _like(state, checkpointer, step))

        _, items = newest(checkpointer, ALL, load)
    source = items["train_state"]
    return dataclasses.replace(
        state,
        generator=source.generator,
        discriminator=source.discriminator,
        ema=items["ema"],
    )


def check_weights(workdir: str, state: Any) -> None:
    """Raises UserError if `load_weights(workdir, state)` would; loads no weights."""
    with open_existing(workdir) as checkpointer:

        def check(step: int) -> None:
            check_names(checkpointer, step, _like(state, checkpointer, step))

        newest(checkpointer, ALL, check)


def has_checkpoint(workdir: str) -> bool:
    """Tells whether a run has saved a checkpoint in `workdir`."""
    return any(
        path.name.isdigit() for path in pathlib.Path(workdir, DIRECTORY).glob("*")
    )


def _like(state: Any, checkpointer: Checkpointer, step: int) -> dict:
    """Returns the shapes of the arrays that `load_weights` reads."""
    saved = _shapes(_saved_trees(checkpointer, step)["train_state"])
    shape, means = saved.get("path_means"), None
    if shape is not None:  # one entry per member of the checkpoint's family
        where = abstract_leaf(state.step).sharding
        means = jax.ShapeDtypeStruct(shape, np.float32, sharding=where)
    like = dataclasses.replace(state, path_means=means)
    return jax.tree.map(abstract_leaf, array_items(like))


@contextlib.contextmanager
def open_existing(workdir: str) -> Iterator[Checkpointer]:
    """Opens the checkpoints of a directory for a `with` block.

    Raises:
        UserError: if the directory has no checkpoint.
    """
    directory = pathlib.Path(workdir, DIRECTORY).absolute()
    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet())
        with _reading(str(directory)):
            if not directory.is_dir():
                raise UserError(
                    f"{workdir}: found no '{DIRECTORY}' folder, expected a training "
                    "directory that has a checkpoint"
                )
            opened = orbax().training.Checkpointer(directory)
        checkpointer = stack.enter_context(opened)
        if checkpointer.latest is None:
            raise UserError(f"{directory}: found no checkpoint, expected at least one")
        yield checkpointer


def newest(
    checkpointer: Checkpointer,
    items: tuple[str, ...],
    load: Callable[[int], Any],
) -> tuple[int, Any]:
    """Returns (step, `load(step)`) of the newest checkpoint that is not damaged.

    It warns, in one line, of each damaged checkpoint that it skips. Processes that
    train together all take the same checkpoint. Only damaged files let it skip a
    checkpoint, not errors of memory, of the file system or of another Orbax version.

    Args:
        checkpointer: the checkpoints of a directory.
        items: the items that must not be damaged.
        load: reads the checkpoint with this step.

    Raises:
        UserError: if `load` does, if a file cannot be read, or if all are damaged.
        Exception: whatever else `load` raises.
    """
    passed_over: list[tuple[str, str]] = []
    for checkpoint in reversed(checkpointer.checkpoints):
        path, found = str(checkpoint.path), None
        with _reading(path):
            problem = distributed.agreed(damage(path, items))
            if problem is None:
                try:
                    found = load(checkpoint.step)
                except Damaged as error:
                    problem = str(error)
                problem = distributed.agreed(problem)
        if problem is None:
            _warn(passed_over, f"; used the one before it, {path}")
            return checkpoint.step, found
        passed_over.append((path, problem))
    _warn(passed_over, "")
    raise UserError(
        f"{checkpointer.directory}: found only damaged checkpoints, expected one that "
        "can be read"
    )


@contextlib.contextmanager
def _reading(path: str) -> Iterator[None]:
    """Turns errors of the file system in its block into a UserError of one line."""
    try:
        yield
    except OSError as error:
        place = error.filename or path
        raise UserError(
            f"{place}: cannot be read ({error.strerror or error}); nothing was changed"
        ) from error


def _warn(passed_over: list[tuple[str, str]], instead: str) -> None:
    """Warns once of each checkpoint, although the parts of a prior are read apart."""
    for path, problem in passed_over:
        if (path, instead) not in _warned:
            _warned.add((path, instead))
            logging.getLogger("rtil_jax").warning(
                "%s: skipped a damaged checkpoint (%s)%s", path, problem, instead
            )


def item(checkpointer: Checkpointer, step: int, name: str) -> dict:
    """Returns an item of a checkpoint that holds numbers and texts.

    Args:
        checkpointer: the checkpoints of a directory.
        step: the step of the checkpoint.
        name: the name of the item.
    """
    return checkpointer.load_checkpointables(step, {name: None})[name]


def array_items(state: Any) -> dict[str, Any]:
    """Returns the two items that hold arrays."""
    return {"train_state": dataclasses.replace(state, ema=None), "ema": state.ema}


def abstract_leaf(leaf: Any) -> jax.ShapeDtypeStruct:
    """Returns shape, type and sharding of an array; by default it is on one device."""
    sharding = getattr(leaf, "sharding", None)
    if sharding is None:
        sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def load_arrays(
    checkpointer: Checkpointer, step: int, abstract: dict[str, Any]
) -> dict[str, Any]:
    """Loads some items of a checkpoint.

    Args:
        checkpointer: the checkpoints of a directory.
        step: the step of the checkpoint.
        abstract: the items by name, with shapes and shardings in place of arrays.

    Raises:
        UserError: if the names or shapes in the checkpoint differ.
        Damaged: if its bytes differ from those that were saved.
    """
    metadata = check_names(checkpointer, step, abstract)
    items = checkpointer.load_checkpointables(step, abstract)
    for name, expected in (metadata.custom_metadata or {}).get(CHECKSUMS, {}).items():
        if name in items and checksum(items[name]) != expected:
            raise Damaged(f"the bytes of {name} differ from those that were saved")
    return items


def check_names(checkpointer: Checkpointer, step: int, abstract: dict[str, Any]) -> Any:
    """Returns the metadata of a checkpoint.

    Args:
        checkpointer: the checkpoints of a directory.
        step: the step of the checkpoint.
        abstract: the expected items by name, with shapes in place of arrays.

    Raises:
        UserError: if the names or shapes in the checkpoint differ.
    """
    metadata = checkpointer.checkpointables_metadata(step)
    pairs = [(metadata.metadata[name], tree) for name, tree in abstract.items()]
    check_fit(f"{checkpointer.directory}/{step}", *pairs)
    return metadata


def check_fit(place: str, *pairs: tuple[Any, Any]) -> None:
    """Raises UserError if found and expected trees differ in names or shapes."""
    problems = []
    for found, expected in pairs:
        problems += _differences(_shapes(found), _shapes(expected))
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        text = "; ".join(problems[:3])
        raise UserError(f"{place}: does not fit the config: {text}{more}")


def _saved_trees(checkpointer: Checkpointer, step: int) -> dict:
    """Returns names and shapes of every item in a checkpoint."""
    return checkpointer.checkpointables_metadata(step).metadata


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {_name(path): tuple(leaf.shape) for path, leaf in leaves}


def _name(path: tuple) -> str:
    """Joins dict keys, attributes and tuple positions to one dotted name."""
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
