"""Which iterate is kept: lowest measurement loss, the last, or closest to the truth.

`oracle` reads the true image, as the public demo of RTIL does: its lead over
`measurement` is the part of a published number that no user can have. The report has a
table of that lead. Variants: `short`, `tiny` (minutes on two cores), on the 32-pixel
priors of `configs/quickstart.py`. Not in the paper.

    python invert.py --config configs/ablations/selection.py --workdir runs/selection
"""

from configs.invert import ilo
from rtil_jax.config import parse_variants


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = ilo.for_figures(variants)
    config.select = "measurement,last,oracle"
    config.ratios = (0.01, 0.05, 0.1, 0.25)
    if "tiny" in variants:
        config.ratios = (0.05, 0.25)
    return config
