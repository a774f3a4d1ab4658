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

Variants: `short` (8 images), `tiny` (4, minutes on two cores). What came out is in
`docs/reproduction.md`.
"""

from configs.invert import ilo
from rtil_jax.config import parse_variants

RATES = (0.025, 0.05, 0.1, 0.2)
# At rate 0.2, and in the units of y, as in `gaussian_prior.py`.
PULLS = (1.0, 10.0, 100.0, 300.0, 1_000.0)
# The best of them.
BEST_RATES = {"rtil": 0.2, "vanilla": 0.05}
BEST_PULLS = {"rtil": 10.0, "vanilla": 100.0}


def get_config(variant=None):
    variants = parse_variants(variant, ("validation", "short", "tiny"))
    config = ilo.with_variants({"short"} | variants & {"tiny"})
    config.priors.rtil = "pretrained:faces32_rtil"
    config.priors.vanilla = "pretrained:faces32_vanilla"
    config.method_for.vanilla = {}
    config.images.count = 100
    for size, count in {"short": 8, "tiny": 4}.items():
        if size in variants:
            config.images.count = count
    config.ratios = (0.05, 0.1, 0.25, 0.5, 0.75)
    if "validation" in variants:
        config.images.count = 32
        config.ratios = (0.1,)
        # Labels cannot have dots: rates are in thousandths.
        rates = {f"rate{1000 * r:03g}": {"learning_rate": r} for r in RATES}
        pulls = {f"pull{w:04g}": {"prior_weight": (w,)} for w in PULLS}
        config.settings = {k: {"method": v} for k, v in (rates | pulls).items()}
    else:
        plain = {name: {"learning_rate": r} for name, r in BEST_RATES.items()}
        pull = {name: {"prior_weight": (w,)} for name, w in BEST_PULLS.items()}
        config.settings = {
            "plain": {"method_for": plain},
            "pull": {"method_for": pull},
        }
    return config
