"""Trained generators as inversion uses them, and those that come with the package.

`pretrained:NAME` stands for the folder `packaged/NAME` wherever a prior's directory is
asked for. Such a folder has `weights.npz` and `config.json`, which `packed` reads, and
for people `card.md` and `samples.png`. `rtil pack` makes one of a
training directory.
"""

from rtil_jax.priors.packed import is_packed, read_config, read_weights
from rtil_jax.priors.registry import PREFIX, locate, names

__all__ = ["PREFIX", "is_packed", "locate", "names", "read_config", "read_weights"]
