"""The networks of a checkpoint file, independent of the format of the file."""

import dataclasses

from rtil_jax.convert.layouts import Tensors

# The generator's moving average, the generator, the discriminator.
PARTS = ("g_ema", "g", "d")
MODULE = "module."  # DataParallel's


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The networks of a checkpoint, without optimisers and settings.

    Attributes:
        parts: {part: {name: tensor}} for some of PARTS.
        tensors: tensors outside the networks, such as the mean of w.
        numbers: numbers outside the networks, such as the phase of a growing PGGAN.
        prefixed: the parts whose names all begin with `module.` in the file.
        flat: whether the file is a single network, `g_ema`, and not a dict of parts.
        origins: where in the file each part was found; "" for the whole file.
    """

    parts: dict[str, Tensors]
    tensors: Tensors = dataclasses.field(default_factory=dict)
    numbers: dict[str, float] = dataclasses.field(default_factory=dict)
    prefixed: tuple[str, ...] = ()
    flat: bool = False
    origins: dict[str, str] = dataclasses.field(default_factory=dict)
