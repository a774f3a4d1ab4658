r"""Figure 8: samples of the vanilla StyleGAN2 and of every member of RTIL's family.

Variants: `short` and `tiny` take shipped priors of cartoon faces.

    rtil samples --config configs/ablations/fig8.py \
        --workdir runs/fig8
"""

from configs.invert import ilo
from rtil_jax.config import parse_variants
from rtil_jax.experiments.family_samples import SamplesRun
from rtil_jax.experiments.parsing import default_config


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = default_config(SamplesRun())
    config.priors = ilo.for_figures(variants).priors
    return config
