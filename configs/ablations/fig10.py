"""Figure 10: samples of the vanilla PGGAN and of every member of RTIL's family.

Variants: `short` and `tiny` take shipped priors of cartoon faces.

    python -m rtil_jax samples --config configs/ablations/fig10.py \
        --workdir runs/fig10
"""

from ml_collections import ConfigDict

from configs.invert import mganprior
from rtil_jax.config import parse_variants


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = ConfigDict()
    # Name -> training directory; rows from top to bottom in alphabetical order, but
    # `vanilla` first.
    config.priors = mganprior.for_figures(variants).priors
    # Images per row.
    config.columns = 10
    return config
