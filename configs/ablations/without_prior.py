"""Is a GAN better than no prior at all, and RTIL better than vanilla?

Labels: `default`, the one setting of `configs/invert/ilo.py`; `published`, the paper's
units and rates in as many steps; and what can be had without a prior
(`configs/invert/baselines.py`). Losses are squared errors alone. Not in the paper.

    python invert.py --config configs/ablations/without_prior.py \
        --config.images.source=faces64.zip --workdir runs/without_prior

Shipped pairs of 64-pixel faces; variants `faces32`, and `avatars` (cartoon faces of 32
pixels in colour, which needs no source); `short` (8 images), `tiny` (4, minutes on two
cores). 64 pixels take six seconds per image, prior and label on two cores.
"""

from configs.invert import baselines, ilo
from rtil_jax.config import parse_variants


def get_config(variant=None):
    known = ("faces32", "avatars", "short", "tiny")
    variants = parse_variants(variant, known)
    sizes = variants & {"short", "tiny"}
    small = variants & {"faces32", "avatars"}
    pair = "avatars32" if "avatars" in variants else "faces32" if small else "faces64"
    config = ilo.default(sizes | ({"short"} if small else set()))
    if not small and "tiny" not in sizes:
        config.method.steps = (200, 100, 100, 100, 200)
    for name in ("rtil", "vanilla"):
        config.priors[name] = f"pretrained:{pair}_{name}"
    config.images.count = {"short": 8, "tiny": 4}.get(min(sizes, default=""), 100)
    config.problem = "compressed_sensing,inpainting,super_resolution"
    config.ratios = (0.05, 0.1, 0.25, 0.5)
    config.ratios_for.inpainting = (0.1, 0.25, 0.5)
    config.ratios_for.super_resolution = (1 / 8, 1 / 4)
    if "tiny" in sizes:
        config.ratios = (0.1,)
        config.ratios_for.inpainting = (0.25,)
        config.ratios_for.super_resolution = (1 / 4,)
    ours = {"default": {}, "published": published()}
    config.settings = ours | baselines.settings(variants)
    config.where_it_fits = True
    return config


def published():
    """What differs between `ilo.py` and `ilo.py:published`, but for the steps."""
    method = {"units": "absolute", "prior_form": "gaussian", "prior_weight": ()}
    return {"method": method, "method_for": {"vanilla": {"learning_rate": 0.1}}}
