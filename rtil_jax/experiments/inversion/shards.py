"""Splitting a sweep over processes that know nothing of each other.

Its batches are numbered, and every process takes a stretch of the numbers: batches of
one setting, which share a compiled program, stay together.
"""

import dataclasses
from collections.abc import Mapping

from rtil_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Shard:
    """Process `index` of `count`, counted from 0."""

    index: int = 0
    count: int = 1

    @property
    def suffix(self) -> str:
        """Of the files that this process alone writes; "" if there is one process."""
        return f"-{self.index}-of-{self.count}" if self.count > 1 else ""

    @property
    def hint(self) -> str:
        """What to do where another process has this part."""
        if self.count == 1:
            return "to share its work, start each with --num_shards=N --shard=I"
        return f"it has --shard={self.index}, each needs another of {self.count}"

    def share(self, total: int) -> range:
        """The numbers below `total` that are this process's; all sizes within one."""
        first, last = (total * i // self.count for i in (self.index, self.index + 1))
        return range(first, last)


ALL = Shard()
# Of `srun`; SLURM numbers its batch scripts, shells and helpers from 2^32 - 16 on.
_LAST_STEP = 2**32 - 17


def find_shard(
    index: int | None, count: int | None, environment: Mapping[str, str]
) -> Shard:
    """The shard that the flags name; else that which SLURM gives; else all of it.

    SLURM gives one to every element of a job array and to every task that `srun` has
    started: `srun -n 4` in each of 3 elements makes 12.

    Args:
        index: `--shard`.
        count: `--num_shards`.
        environment: of the process, for SLURM's variables.

    Raises:
        UserError: if only one flag is given, or they do not fit each other.
    """
    if (index is None) != (count is None):
        found, missing = ("--shard", "--num_shards")[:: 1 if count is None else -1]
        raise UserError(f"{found}: found without {missing}, expected both or neither")
    if index is None or count is None:
        element, rank = _array_element(environment), _srun_task(environment)
        return Shard(
            element.index * rank.count + rank.index, element.count * rank.count
        )
    if count < 1 or not 0 <= index < count:
        raise UserError(
            f"--shard: found {index} of --num_shards={count}, expected 0 to "
            f"{max(count - 1, 0)}"
        )
    return Shard(index, count)


def _array_element(environment: Mapping[str, str]) -> Shard:
    """Which element of a job array this is."""
    if "SLURM_ARRAY_TASK_ID" not in environment:
        return ALL
    number, first, step, count = (
        _number(environment, f"SLURM_ARRAY_TASK_{name}", default)
        for name, default in (("ID", 0), ("MIN", 0), ("STEP", 1), ("COUNT", 1))
    )
    return _found("SLURM_ARRAY_TASK_ID", (number - first) // max(step, 1), count)


def _srun_task(environment: Mapping[str, str]) -> Shard:
    """Which task of a job step this is.

    A batch script of a job of eight tasks is itself none of them, though it has
    SLURM_NTASKS=8 and SLURM_PROCID=0: taken for task 0, it would leave the rest of the
    work undone. `srun` alone sets variables of a step; the shell of `salloc` and the
    batch script are steps of their own, with numbers above all others; and in a shell
    of `srun --pty`, there is one process whatever the number of tasks.
    """
    step = environment.get("SLURM_STEP_ID", environment.get("SLURM_STEPID"))
    if step is None or not step.isdecimal() or int(step) > _LAST_STEP:
        return ALL
    if "SLURM_PTY_PORT" in environment or "SLURM_PROCID" not in environment:
        return ALL
    tasks = "SLURM_STEP_NUM_TASKS"
    count = _number(environment, tasks if tasks in environment else "SLURM_NTASKS", 1)
    return _found("SLURM_PROCID", _number(environment, "SLURM_PROCID", 0), count)


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    try:
        return int(text)
    except ValueError as error:
        raise UserError(
            f"{name}: found {text!r} in the environment, expected a whole number; "
            "--num_shards and --shard say it by hand"
        ) from error


def _found(name: str, index: int, count: int) -> Shard:
    if not 0 <= index < count:
        raise UserError(
            f"{name}: found number {index} of {count} (from 0) in the environment; "
            "--num_shards and --shard say it by hand"
        )
    return Shard(index, count)
