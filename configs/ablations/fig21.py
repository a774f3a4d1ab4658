"""Figure 21: ILO with four sets of radii of its l1 balls, EXP 1 to EXP 4, and without.

The paper names three lists of radii per stage, for noise, latent code and "projection
of the previous solution": `noise_radii`, `style_radii` and `feature_radii` here. They
are as printed, EXP2's noise radius of 100 in stage 2 included. Variants: `short` (about
ten minutes on two cores, four stages), `tiny` (minutes, three stages), on the 32-pixel
priors of `configs/quickstart.py`; a ball of an l1 norm is wider there than at the
paper's size, because fewer numbers share the radius.

    python invert.py --config configs/ablations/fig21.py --workdir runs/fig21
"""

from configs.invert import ilo
from rtil_jax.config import parse_variants

FIELDS = ("noise_radii", "style_radii", "feature_radii")
EXPERIMENTS = {
    "EXP1": (
        (100, 200, 500, 1_000, 2_000),
        (100, 200, 300, 800, 1_000),
        (100, 200, 300, 800, 1_000),
    ),
    "EXP2": (
        (200, 1_000, 100, 2_000, 4_000),
        (200, 400, 800, 1_600, 3_200),
        (200, 400, 800, 1_600, 3_200),
    ),
    "EXP3": (
        (1_500, 1_500, 2_500, 4_000, 5_000),
        (300, 500, 1_000, 2_000, 3_000),
        (300, 1_200, 2_000, 3_000, 5_000),
    ),
    "EXP4": (
        (500, 1_500, 2_500, 4_000, 5_000),
        (500, 750, 1_500, 2_500, 4_000),
        (500, 750, 1_500, 2_500, 5_000),
    ),
}


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = ilo.for_figures(variants)
    config.ratios = (0.01, 0.05, 0.1, 0.15, 0.25)
    config.images.count = 5
    if "tiny" in variants:
        config.ratios = (0.05, 0.25)
        config.images.count = 4
    stages = len(config.method.steps)
    for name, lists in EXPERIMENTS.items():
        radii = {
            field: tuple(float(radius) for radius in values[:stages])
            for field, values in zip(FIELDS, lists, strict=True)
        }
        config.settings[name] = {"method": radii}
    config.settings["none"] = {"method": dict.fromkeys(FIELDS, ())}
    return config
