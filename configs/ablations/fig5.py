"""Figures 5, 14 and 15: mGANprior on three problems, PSNR, SSIM and LPIPS.

Variants: `short` (about an hour on two cores), `tiny` (minutes), on the 32-pixel priors
of `configs/quickstart.py:pggan`; `published` draws the paper's PSNR beside ours.

    python invert.py --config configs/ablations/fig5.py:published --workdir runs/fig5
"""

from configs.invert import mganprior
from rtil_jax.config import parse_variants


def get_config(variant=None):
    variants = parse_variants(variant, ("published", "short", "tiny"))
    config = mganprior.for_figures(variants)
    config.problem = "compressed_sensing,inpainting,super_resolution"
    config.ratios = (0.01, 0.1, 0.25, 0.5, 0.75, 1.0)
    config.ratios_for.inpainting = (0.01, 0.1, 0.2, 0.3, 0.5)
    config.ratios_for.super_resolution = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
    if "tiny" in variants:
        config.ratios = (0.1, 0.5)
        config.ratios_for.inpainting = (0.1, 0.5)
        config.ratios_for.super_resolution = (1 / 16, 1 / 2)
    if "published" in variants:
        config.figure.published = "mganprior"
    return config
