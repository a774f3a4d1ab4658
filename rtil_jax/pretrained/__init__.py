"""Priors that come with the package, each a folder beside this file.

`pretrained:NAME` stands for the folder NAME wherever a prior's directory is asked for.
A folder has `weights.npz` and `config.json`, which `packed` reads, and for people
`card.md` and `samples.png`. `python -m rtil_jax.pretrained` makes one of a training
directory (`export`).
"""

from rtil_jax.pretrained.packed import is_packed, read_config, read_weights
from rtil_jax.pretrained.registry import PREFIX, locate, names

__all__ = ["PREFIX", "is_packed", "locate", "names", "read_config", "read_weights"]
