"""Figures 4, 11 and 12: ILO on three problems, PSNR, SSIM and LPIPS.

Variants: `short` (about ten minutes on two cores), `tiny` (minutes), on the 32-pixel
priors of `configs/quickstart.py`; `published` draws the paper's PSNR beside ours.

    python invert.py --config configs/ablations/fig4.py:published --workdir runs/fig4
"""

from configs.invert import ilo
from rtil_jax.config import parse_variants


def get_config(variant=None):
    variants = parse_variants(variant, ("published", "short", "tiny"))
    config = ilo.for_figures(variants)
    config.problem = "compressed_sensing,inpainting,super_resolution"
    config.ratios = (0.01, 0.05, 0.1, 0.15, 0.25)
    config.ratios_for.inpainting = (0.01, 0.05, 0.15, 0.25, 0.5)
    config.ratios_for.super_resolution = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
    if "tiny" in variants:
        config.ratios = (0.05, 0.25)
        config.ratios_for.inpainting = (0.05, 0.5)
        config.ratios_for.super_resolution = (1 / 16, 1 / 2)
    if "published" in variants:
        config.figure.published = "ilo"
    return config
