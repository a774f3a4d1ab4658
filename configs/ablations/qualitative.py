r"""The pictures of Figures 2, 16, 17, 18 and 19: truth, measurement, vanilla, RTIL.

Variants: `fig2a` (the default; ILO, compressed sensing, 3 %), `fig2b` (mGANprior, 5 %),
`fig16` (ILO, inpainting, 5 %), `fig17` (mGANprior, 10 %), `fig18` and `fig19` (ILO and
mGANprior, super-resolution 4x); with `short` or `tiny` (minutes on two cores) on the
32-pixel priors of `configs/quickstart.py`. The pictures are `figures/*.png` of the
directory, with the PSNR of each.

    python invert.py --config configs/ablations/qualitative.py:fig16 \
        --workdir runs/fig16
"""

from configs.invert import ilo, mganprior
from rtil_jax.config import parse_variants

# Method, problem and ratio, as the captions say.
FIGURES = {
    "fig2a": (ilo, "compressed_sensing", 0.03),
    "fig2b": (mganprior, "compressed_sensing", 0.05),
    "fig16": (ilo, "inpainting", 0.05),
    "fig17": (mganprior, "inpainting", 0.1),
    "fig18": (ilo, "super_resolution", 0.25),
    "fig19": (mganprior, "super_resolution", 0.25),
}


def get_config(variant=None):
    variants = parse_variants(variant, (*FIGURES, "short", "tiny"))
    figure = min(variants & FIGURES.keys(), default="fig2a")
    method, problem, ratio = FIGURES[figure]
    config = method.for_figures(variants)
    config.problem, config.ratios = problem, (ratio,)
    config.images.count = 4 if "tiny" in variants else 8
    return config
