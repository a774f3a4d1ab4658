"""The work of a sweep: batches of images, for every entry of the run."""

import dataclasses

from rtil_jax.experiments.inversion.inversion_run import InversionRun
from rtil_jax.experiments.inversion.shards import Shard


@dataclasses.dataclass(frozen=True)
class Work:
    """The batches of a sweep, numbered through all entries, and this process's share.

    Attributes:
        entries: the number of entries.
        batches: the indices of the images of each batch, the same in every entry; the
            last batch may go beyond the last image.
        mine: the numbers of this process's batches.
    """

    entries: int
    batches: list[range]
    mine: range

    @property
    def total(self) -> int:
        """The number of batches of all processes."""
        return self.entries * len(self.batches)

    def own(self, number: int) -> list[range]:
        """Returns this process's batches of entry `number`."""
        first = number * len(self.batches)
        return [b for n, b in enumerate(self.batches, first) if n in self.mine]


def divide(run: InversionRun, num_images: int, shard: Shard) -> Work:
    """Divides a sweep into batches, and these among processes.

    Args:
        run: the inversion.
        num_images: number of images to recover.
        shard: the part of this process.
    """
    size, entries = min(run.batch_size, num_images), len(run.entries)
    batches = [range(first, first + size) for first in range(0, num_images, size)]
    return Work(entries, batches, shard.share(entries * len(batches)))
