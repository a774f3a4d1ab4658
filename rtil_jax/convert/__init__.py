"""Converts public PyTorch checkpoints to prior directories, and back.

See `docs/convert.md`.
"""

from rtil_jax.convert.directory import (
    convert as convert,
)
from rtil_jax.convert.directory import (
    fixed_noises as fixed_noises,
)
