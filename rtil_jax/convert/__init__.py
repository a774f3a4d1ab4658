"""Public PyTorch checkpoints as prior directories, and back (see `docs/convert.md`)."""

from rtil_jax.convert.directory import (
    convert as convert,
)
from rtil_jax.convert.directory import (
    fixed_noises as fixed_noises,
)
