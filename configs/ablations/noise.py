"""Noise on the measurements: 0, 1, 5 and 20 % of their size.

The entries of y have the variance ||x||^2 (the circulant operator is not normalised),
so a share of their size is that share of ||x||, here of the 0.5 sqrt(n) that an image
of n numbers in [-1, 1] has or so. Variants: `short`, `tiny` (minutes on two cores), on
the 32-pixel priors of `configs/quickstart.py`. Not in the paper.

    python invert.py --config configs/ablations/noise.py --workdir runs/noise
"""

import math

from configs.invert import ilo
from rtil_jax.config import parse_variants


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = ilo.for_figures(variants)
    config.ratios = (0.05, 0.1, 0.25)
    size, shares = 256, (0, 1, 5, 20)
    if variants & {"short", "tiny"}:
        size = 32
    if "tiny" in variants:
        config.ratios, shares = (0.1, 0.25), (0, 20)
    for percent in shares:
        noise_std = percent / 100 * 0.5 * math.sqrt(3 * size**2)
        config.settings[f"{percent:02d}%"] = {"noise_std": noise_std}
    return config
