"""The paper's claims on real faces, at 32 pixels or with the variant `faces64` at 64.

ILO with plain and regularised priors.

Labels: `plain`, and `pull`, whose loss has the mean square of z_k too, that is, of
how far the features are from where their stage began: a vanilla ILO that is
regularised at inversion, as RTIL is in training. Rates and the weight of the pull are
those that did best on other faces, with the variant `validation`, which tries the
same for both priors: at 10 % of measurements, for ratios up to 25 %, and with the
variant `many` at 50 %, for more.

    python invert.py --config configs/ablations/reproduction.py \
        --config.images.source=faces64.zip --workdir runs/reproduction
    python invert.py --config configs/ablations/reproduction.py:validation \
        --config.images.source=validation.zip --workdir runs/validation

With the variant `pggan` it is mGANprior, 20 codes, squared errors alone: `rtil` and
`vanilla` with the same setting, Adam, and `vanilla_sgd`, the same vanilla prior with
the setting that the paper has for vanilla priors.

    python invert.py --config configs/ablations/reproduction.py:pggan \
        --config.images.source=faces64.zip --workdir runs/reproduction_pggan

Variants: `short` (8 images), `tiny` (4, minutes on two cores). What came out is in
`docs/reproduction.md`.
"""

from configs.invert import ilo, mganprior
from rtil_jax.config import parse_variants

VARIANTS = ("faces64", "many", "pggan", "validation", "short", "tiny")
RATES = (0.025, 0.05, 0.1, 0.2, 0.4)
# In the units of y, as in `gaussian_prior.py`: n pixels measure n times as much. And
# the rate that they are tried at.
PULLS = {
    "faces32": (1.0, 10.0, 100.0, 300.0, 1_000.0),
    "faces64": (10.0, 40.0, 160.0, 640.0, 2_560.0),
}
PULL_RATE = 0.2
# The best of them.
BEST_RATES = {"rtil": 0.2, "vanilla": 0.05}
BEST_PULLS = {"rtil": 10.0, "vanilla": 100.0}


def get_config(variant=None):
    variants = parse_variants(variant, VARIANTS)
    config = multi_code(variants) if "pggan" in variants else layers(variants)
    if not variants & {"short", "tiny"}:  # which say how many themselves
        config.images.count = 32 if "validation" in variants else 100
    return config


def multi_code(variants):
    """mGANprior."""
    config = mganprior.with_variants({"short", "rtil"} | variants & {"tiny"})
    config.priors.rtil = "pretrained:faces32_pggan_rtil"
    config.priors.vanilla = "pretrained:faces32_pggan_vanilla"
    config.priors.vanilla_sgd = config.priors.vanilla
    config.method_for.vanilla_sgd = mganprior.VANILLA
    config.perceptual.distance = ""
    config.problem = "compressed_sensing,inpainting,super_resolution"
    config.ratios_for.inpainting = (0.3,)
    config.ratios_for.super_resolution = (1 / 4,)
    return config


def layers(variants):
    """ILO."""
    config = ilo.with_variants({"short"} | variants & {"tiny"})
    pair = "faces64" if "faces64" in variants else "faces32"
    config.priors.rtil = f"pretrained:{pair}_rtil"
    config.priors.vanilla = f"pretrained:{pair}_vanilla"
    config.method_for.vanilla = {}
    if pair == "faces64":
        config.method.steps = (200, 100, 100, 100, 200)  # a tenth of the paper's
    config.ratios = (0.5, 0.75) if "many" in variants else (0.05, 0.1, 0.25)
    if "validation" in variants:
        config.ratios = (0.5,) if "many" in variants else (0.1,)
        # Labels cannot have dots: rates are in thousandths.
        rates = {f"rate{1000 * r:03g}": {"learning_rate": r} for r in RATES}
        pulls = {
            f"pull{w:04g}": {"learning_rate": PULL_RATE, "prior_weight": (w,)}
            for w in PULLS[pair]
        }
        config.settings = {k: {"method": v} for k, v in (rates | pulls).items()}
    else:
        plain = {name: {"learning_rate": r} for name, r in BEST_RATES.items()}
        pull = {
            name: {"learning_rate": PULL_RATE, "prior_weight": (w,)}
            for name, w in BEST_PULLS.items()
        }
        config.settings = {
            "plain": {"method_for": plain},
            "pull": {"method_for": pull},
        }
    return config
