r"""Compares RTIL priors, vanilla priors and methods without a prior.

Labels: `default`, the one setting of `configs/invert/ilo.py`; `averaged`, its mean with
the image of a Gaussian field (`finish=average`); `published`, the paper's units and
rates in as many steps; and the methods without a prior
(`configs/invert/baselines.py`). Losses are squared errors alone. Not in the paper.

    python invert.py --config configs/ablations/without_prior.py \
        --config.images.source=faces64.zip --workdir runs/without_prior

The default uses the shipped pair of priors of 64-pixel faces and takes six seconds per
image, prior and label on two cores.
Variants: `faces32`; `avatars` (cartoon faces of 32 pixels in colour, which need no
source); `short` (8 of those) and `tiny` (4, one problem, minutes on two cores).
"""

from configs.invert import baselines, ilo
from rtil_jax.config import parse_variants


def get_config(variant=None):
    known = ("faces32", "avatars", "short", "tiny")
    variants = parse_variants(variant, known)
    pair = "faces64"
    if variants:
        pair = "faces32" if "faces32" in variants else "avatars32"
    config = ilo.default(variants if "tiny" in variants else variants and {"short"})
    for name in ("rtil", "vanilla"):
        config.priors[name] = f"pretrained:{pair}_{name}"
    if not variants & {"short", "tiny"}:
        config.images.count = 100
    config.problem = "compressed_sensing,inpainting,super_resolution"
    config.ratios = (0.05, 0.1, 0.25, 0.5)
    config.ratios_for.inpainting = (0.1, 0.25, 0.5)
    config.ratios_for.super_resolution = (1 / 8, 1 / 4)
    if "tiny" in variants:
        config.problem = "super_resolution"
        config.ratios_for.super_resolution = (1 / 4,)
    paper = ilo.published(variants)
    differ = ("units", "unit", "learning_rate", "prior_form", "prior_weight")
    published = {name: paper.method[name] for name in differ}
    config.settings = {
        "default": {},
        "averaged": {"finish": "average"},
        "published": {"method": published, "method_for": paper.method_for.to_dict()},
    } | baselines.settings(variants)
    config.where_it_fits = True
    return config
