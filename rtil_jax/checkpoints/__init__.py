"""Saves and loads the checkpoints of training runs, through Orbax.

A checkpoint has four items that can be read separately: `train_state` (weights,
optimisers, path means, step), `ema` (the prior), `config` and `data` (the position in
the data, and what else a run remembers besides its arrays). Inversion reads all but the
first.

Orbax restores damaged bytes without an error. Every checkpoint therefore has checksums
(`checksums.py`). Readers skip a damaged checkpoint with a warning, and read the one
before it.
"""

from rtil_jax.checkpoints.checksums import checksum
from rtil_jax.checkpoints.loading import (
    check_fit,
    check_weights,
    has_checkpoint,
    load_config,
    load_ema,
    load_step,
    load_weights,
)
from rtil_jax.checkpoints.saving import Checkpoints

__all__ = [
    "Checkpoints",
    "check_fit",
    "check_weights",
    "checksum",
    "has_checkpoint",
    "load_config",
    "load_ema",
    "load_step",
    "load_weights",
]
