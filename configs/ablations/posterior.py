r"""Posterior samples of noisy compressed sensing: their mean and pixelwise spread.

Langevin chains draw the last z_k and the latents of its stage; each starts from the
result of an ILO. `rtil_jax/inversion/langevin.py` defines the posterior. RTIL trains
with z_k drawn from the Gaussian of that posterior; a vanilla prior was trained with z_k
= 0 only. Not in the paper. Variants: `short`, `tiny` (minutes on two cores), on the
32-pixel priors of `configs/quickstart.py`.

    rtil posterior --config configs/ablations/posterior.py \
        --workdir runs/posterior
"""

import math

from configs.invert import ilo
from rtil_jax.config import parse_variants
from rtil_jax.experiments.parsing import default_config
from rtil_jax.experiments.posterior_config import Chain

# Noise as a share of ||x||, which is about 0.5 sqrt(n); see configs/ablations/noise.py.
SHARE = 0.05


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = ilo.for_figures(variants)
    size = 32 if variants else 256
    config.ratios = (0.1,)
    config.noise_std = SHARE * 0.5 * math.sqrt(3 * size**2)
    config.images.count = 4
    config.chain = default_config(Chain())
    if "short" in variants:
        config.chain.update({"samples": 8, "steps": 500})
    if "tiny" in variants:
        config.chain.update({"samples": 4, "steps": 40})
        config.images.count = 2
    return config
