"""The RGB skip of StyleGAN2 in ILO's later stages: kept, or dropped as in public code.

RTIL trains with the skip; the public code of ILO drops the skip of all blocks below
that of the stage, so the image jumps at the start of every stage. Variants: `short`,
`tiny` (minutes on two cores), on the 32-pixel priors of `configs/quickstart.py`. Not in
the paper.

    python invert.py --config configs/ablations/skip.py --workdir runs/skip
"""

from configs.invert import ilo
from rtil_jax.config import parse_variants


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = ilo.for_figures(variants)
    config.ratios = (0.01, 0.05, 0.1, 0.25)
    if "tiny" in variants:
        config.ratios = (0.05, 0.25)
    config.settings.kept = {"method": {"keep_skip": True}}
    config.settings.dropped = {"method": {"keep_skip": False}}
    return config
