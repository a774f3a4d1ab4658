"""The networks of a checkpoint, whatever file they came in."""

import dataclasses

from rtil_jax.convert.layouts import Tensors

# The generator's moving average, the generator, the discriminator.
PARTS = ("g_ema", "g", "d")
MODULE = "module."  # DataParallel's


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Networks, optimisers and settings left out.

    Attributes:
        parts: tensors by name of some of PARTS.
        tensors: those beside the networks, such as the mean of w.
        numbers: those beside the networks, such as the phase of a growing PGGAN.
        prefixed: the parts whose names all begin with `module.` in the file.
        flat: whether the file is one network, `g_ema`, and not a dict of parts.
        origins: where in the file each part was found; "" for the whole file.
    """

    parts: dict[str, Tensors]
    tensors: Tensors = dataclasses.field(default_factory=dict)
    numbers: dict[str, float] = dataclasses.field(default_factory=dict)
    prefixed: tuple[str, ...] = ()
    flat: bool = False
    origins: dict[str, str] = dataclasses.field(default_factory=dict)
