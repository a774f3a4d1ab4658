"""The paper's claim on the 32-pixel faces: ILO with plain and regularised priors.

Labels: `plain`, and `pull`, whose loss has the mean square of z_k too, that is, of
how far the features are from where their stage began: a vanilla ILO that is
regularised at inversion, as RTIL is in training. Rates and the weight of the pull are
those that did best on other faces, with the variant `validation`, which tries the
same for both priors.

    python invert.py --config configs/ablations/reproduction.py \
        --config.images.source=faces64.zip --workdir runs/reproduction
    python invert.py --config configs/ablations/reproduction.py:validation \
        --config.images.source=validation.zip --workdir runs/validation

What came out is in `docs/reproduction.md`.
"""

from configs.invert import ilo
from rtil_jax.config import parse_variants

RATES = (0.05, 0.1, 0.2, 0.4)
# In the units of y, as in `gaussian_prior.py`.
PULLS = (1.0, 10.0, 100.0)


def get_config(variant=None):
    variants = parse_variants(variant, ("validation", "tiny"))
    config = ilo.with_variants({"short"} | variants & {"tiny"})
    config.priors.rtil = "pretrained:faces32_rtil"
    config.priors.vanilla = "pretrained:faces32_vanilla"
    config.ratios = (0.05, 0.1, 0.25, 0.5)
    if "validation" in variants:
        config.method_for.vanilla = {}
        config.images.count = 32
        config.ratios = (0.1,)
        rates = {f"rate{round(100 * r):02}": {"learning_rate": r} for r in RATES}
        pulls = {f"pull{round(w):03}": {"prior_weight": (w,)} for w in PULLS}
        config.settings = {k: {"method": v} for k, v in (rates | pulls).items()}
    else:
        config.images.count = 4 if "tiny" in variants else 100
        config.settings = {
            "plain": {"method": {"prior_weight": ()}},
            "pull": {"method": {"prior_weight": (10.0,)}},
        }
    return config
