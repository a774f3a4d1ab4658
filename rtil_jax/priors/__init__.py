"""Loads priors: trained generators, from your directories or from the package.

`pretrained:NAME` stands for the folder `packaged/NAME` wherever a prior's directory is
expected. Such a folder has `weights.npz` and `config.json`, which `packed` reads, and
`card.md` and `samples.png` for people. `rtil pack` makes one from a training directory.
"""

from rtil_jax.priors.packed import is_packed, read_config, read_weights
from rtil_jax.priors.registry import PREFIX, locate, names

__all__ = ["PREFIX", "is_packed", "locate", "names", "read_config", "read_weights"]
