"""Splits a sweep over processes that do not communicate.

The batches are numbered, and every process takes a range of numbers. So batches of one
setting, which share a compiled program, stay together.
"""

import dataclasses
from collections.abc import Mapping

from rtil_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Shard:
    """The part of one process: number `index` of `count`, counted from 0."""

    index: int = 0
    count: int = 1

    @property
    def suffix(self) -> str:
        """The suffix of files that only this process writes; "" for one process."""
        return f"-{self.index}-of-{self.count}" if self.count > 1 else ""

    @property
    def hint(self) -> str:
        """Says what to do if another process works on this part."""
        if self.count == 1:
            return "to share the work, start each process with --num_shards=N --shard=I"
        return (
            f"it has --shard={self.index} too, but each process needs a different "
            f"number below {self.count}"
        )

    def share(self, total: int) -> range:
        """Returns this process's numbers below `total`; sizes differ by at most one."""
        first, last = (total * i // self.count for i in (self.index, self.index + 1))
        return range(first, last)


ALL = Shard()
# Step numbers of `srun`; those of batch scripts, shells and helpers begin at 2^32 - 16.
_LAST_STEP = 2**32 - 17


def find_shard(
    index: int | None, count: int | None, environment: Mapping[str, str]
) -> Shard:
    """Returns the part of this process: from the flags, or from SLURM, or everything.

    SLURM gives a part to every element of a job array and to every task of `srun`:
    `srun -n 4` in each of 3 elements makes 12 parts.

    Args:
        index: the value of `--shard`.
        count: the value of `--num_shards`.
        environment: the environment, with SLURM's variables.

    Raises:
        UserError: if only one flag is given, or they do not fit each other.
    """
    if (index is None) != (count is None):
        found, missing = ("--shard", "--num_shards")[:: 1 if count is None else -1]
        raise UserError(f"{found}: found no {missing} with it, expected both flags")
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
    """Finds out which element of a job array this process belongs to."""
    if "SLURM_ARRAY_TASK_ID" not in environment:
        return ALL
    number, first, step, count = (
        _number(environment, f"SLURM_ARRAY_TASK_{name}", default)
        for name, default in (("ID", 0), ("MIN", 0), ("STEP", 1), ("COUNT", 1))
    )
    return _found("SLURM_ARRAY_TASK_ID", (number - first) // max(step, 1), count)


def _srun_task(environment: Mapping[str, str]) -> Shard:
    """Finds out which task of a job step this process is.

    The batch script of a job with eight tasks is not one of them, although it has
    SLURM_NTASKS=8 and SLURM_PROCID=0: taken for task 0, it would leave the rest of the
    work undone. Only `srun` sets the variables of a step. The shell of `salloc` and the
    batch script are separate steps with numbers above all others. And in a shell of
    `srun --pty` there is one process, whatever the number of tasks.
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
            "--num_shards and --shard override it"
        ) from error


def _found(name: str, index: int, count: int) -> Shard:
    if not 0 <= index < count:
        raise UserError(
            f"{name}: found {index} in the environment, expected 0 to {count - 1}; "
            "--num_shards and --shard override it"
        )
    return Shard(index, count)
