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

    def share(self, total: int) -> range:
        """The numbers below `total` that are this process's; all sizes within one."""
        first, last = (total * i // self.count for i in (self.index, self.index + 1))
        return range(first, last)


ALL = Shard()


def find_shard(
    index: int | None, count: int | None, environment: Mapping[str, str]
) -> Shard:
    """The shard that the flags name; else that of a SLURM job array; else all of it.

    Args:
        index: `--shard`.
        count: `--num_shards`.
        environment: has SLURM_ARRAY_TASK_ID, _MIN, _STEP and _COUNT in an array.

    Raises:
        UserError: if only one flag is given, or they do not fit each other.
    """
    if (index is None) != (count is None):
        found, missing = ("--shard", "--num_shards")[:: 1 if count is None else -1]
        raise UserError(f"{found}: found without {missing}, expected both or neither")
    if index is None and "SLURM_ARRAY_TASK_ID" in environment:
        number, first, step, count = (
            int(environment.get(f"SLURM_ARRAY_TASK_{name}", default))
            for name, default in (("ID", 0), ("MIN", 0), ("STEP", 1), ("COUNT", 1))
        )
        index = (number - first) // step
    if index is None or count is None:
        return ALL
    if count < 1 or not 0 <= index < count:
        raise UserError(
            f"--shard: found {index} of --num_shards={count}, expected 0 to "
            f"{max(count - 1, 0)}"
        )
    return Shard(index, count)
