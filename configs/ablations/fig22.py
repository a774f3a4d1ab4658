"""Figure 22: mGANprior mixing its codes after each block, from 8 to 128 pixels.

RTIL was trained to mix at one of them (32 pixels at paper size, 8 for the priors of
`configs/quickstart.py:pggan`); the figure chose the block of vanilla priors. Variants:
`short` (about twenty minutes on two cores; 8 and 16 pixels), `tiny` (minutes).

    python invert.py --config configs/ablations/fig22.py --workdir runs/fig22
"""

from configs.invert import mganprior
from rtil_jax.config import parse_variants


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = mganprior.for_figures(variants)
    config.problem = "inpainting,super_resolution"
    config.ratios_for.inpainting = (0.01, 0.1, 0.2, 0.3, 0.5)
    config.ratios_for.super_resolution = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
    config.images.count = 5
    blocks = (2, 3, 4, 5, 6)
    if variants & {"short", "tiny"}:
        blocks = (2, 3)
    if "tiny" in variants:
        config.ratios_for.inpainting = (0.1, 0.5)
        config.ratios_for.super_resolution = (1 / 4, 1 / 2)
        config.images.count = 4
    for block in blocks:
        size = 2 ** (block + 1)
        config.settings[f"{size:03d}px"] = {"method": {"block": block}}
    return config
