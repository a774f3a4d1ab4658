"""Checkpoints: Orbax's current API, behind the four things this library needs.

A checkpoint has four items that can be read separately: `train_state` (weights,
optimisers, path means, step), `ema` (the prior), `config` and `data` (the position in
the data, and what else a run remembers beside its arrays). Inversion reads all but the
first.

Orbax restores damaged bytes without an error. Checksums are therefore kept in every
checkpoint (`checksums.py`), and whoever reads passes over damaged ones, with a warning,
to the one before.
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
