"""ILO with measurement noise of 0, 1, 5 and 20 % of the measurements' size.

The entries of y have the variance ||x||^2 (the circulant operator is not normalised),
so p % of their size is p % of ||x||; here ||x|| is taken as 0.5 sqrt(n), about the norm
of an image of n numbers in [-1, 1]. Variants: `short`, `tiny` (minutes on two cores),
on the 32-pixel priors of `configs/quickstart.py`. Not in the paper.

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
