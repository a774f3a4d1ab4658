"""Figure 7: mGANprior with N = 1, 10 and 20 codes.

Variants: `short` (about twenty minutes on two cores), `tiny` (minutes; N = 1, 4), on
the 32-pixel priors of `configs/quickstart.py:pggan`.

    python invert.py --config configs/ablations/fig7.py --workdir runs/fig7
"""

from configs.invert import mganprior
from rtil_jax.config import parse_variants


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = mganprior.for_figures(variants)
    config.problem = "compressed_sensing,inpainting"
    config.ratios = (0.01, 0.1, 0.25, 0.5, 0.75, 1.0)
    config.ratios_for.inpainting = (0.01, 0.1, 0.2, 0.3, 0.5)
    config.images.count = 5
    codes = (1, 10, 20)
    if "tiny" in variants:
        codes = (1, 4)
        config.ratios = config.ratios_for.inpainting = (0.1, 0.5)
        config.images.count = 4
    for number in codes:
        config.settings[f"N={number:02d}"] = {"method": {"codes": number}}
    return config
