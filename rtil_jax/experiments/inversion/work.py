"""The work of a sweep: batches of images, for every entry of the run."""

import dataclasses

from rtil_jax.experiments.inversion.inversion_run import InversionRun
from rtil_jax.experiments.inversion.shards import Shard


@dataclasses.dataclass(frozen=True)
class Work:
    """Batches are numbered through all entries; a process has a stretch of them.

    Attributes:
        entries: how many.
        batches: the images of each batch, the same in every entry; the last may go
            beyond the last image.
        mine: numbers of this process's batches.
    """

    entries: int
    batches: list[range]
    mine: range

    @property
    def total(self) -> int:
        """Batches of all processes."""
        return self.entries * len(self.batches)

    def own(self, number: int) -> list[range]:
        """This process's batches of entry `number`."""
        first = number * len(self.batches)
        return [b for n, b in enumerate(self.batches, first) if n in self.mine]


def divide(run: InversionRun, num_images: int, shard: Shard) -> Work:
    """The work on `num_images` images."""
    size, entries = min(run.batch_size, num_images), len(run.entries)
    batches = [range(first, first + size) for first in range(0, num_images, size)]
    return Work(entries, batches, shard.share(entries * len(batches)))
