"""The work of a sweep: batches of images, in every setting and with every prior."""

import dataclasses
from collections.abc import Iterable

from ml_collections import ConfigDict

from rtil_jax.experiments.inversion.settings import expand, setting_of
from rtil_jax.experiments.inversion.shards import Shard


@dataclasses.dataclass(frozen=True)
class Work:
    """Batches are numbered through all settings; a process has a stretch of them.

    Attributes:
        settings: (config, name of the prior, what its rows share).
        batches: the images of each batch, the same in every setting; the last may go
            beyond the last image.
        mine: numbers of this process's batches.
    """

    settings: list[tuple[ConfigDict, str, dict]]
    batches: list[range]
    mine: range

    @property
    def total(self) -> int:
        """Batches of all processes."""
        return len(self.settings) * len(self.batches)

    def own(self, number: int) -> list[range]:
        """This process's batches in setting `number`."""
        first = number * len(self.batches)
        return [b for n, b in enumerate(self.batches, first) if n in self.mine]


def divide(
    config: ConfigDict, priors: Iterable[str], num_images: int, shard: Shard
) -> Work:
    """The work on `num_images` images with the priors of these names."""
    names = list(priors)
    settings = [
        (one, name, setting_of(label, one, name, ratio))
        for label, one in expand(config)
        for ratio in one.ratios
        for name in names
    ]
    size = min(config.batch_size, num_images)
    batches = [range(first, first + size) for first in range(0, num_images, size)]
    return Work(settings, batches, shard.share(len(settings) * len(batches)))
