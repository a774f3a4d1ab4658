"""Figure 20: ILO with five budgets of steps per stage, EXP 1 to EXP 5.

Variants: `short` (a tenth of the steps, four stages; about ten minutes on two cores),
`tiny` (a hundredth, three stages), on the 32-pixel priors of `configs/quickstart.py`.

    python invert.py --config configs/ablations/fig20.py --workdir runs/fig20
"""

from configs.invert import ilo
from rtil_jax.config import parse_variants

EXPERIMENTS = {
    "EXP1": (100, 100, 100, 100, 100),
    "EXP2": (300, 300, 300, 300, 300),
    "EXP3": (1_000, 1_000, 1_000, 1_000, 1_000),
    "EXP4": (2_000, 1_000, 1_000, 1_000, 2_000),  # of all other figures
    "EXP5": (2_000, 2_000, 2_000, 2_000, 2_000),
}


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = ilo.for_figures(variants)
    config.ratios = (0.01, 0.05, 0.1, 0.15, 0.25)
    config.images.count = 5
    stages, divisor = 5, 1
    if "short" in variants:
        stages, divisor = 4, 10
    if "tiny" in variants:
        stages, divisor = 3, 100
        config.ratios = (0.05, 0.25)
        config.images.count = 4
    for name, steps in EXPERIMENTS.items():
        # A generator of fewer blocks drops the last of the middle stages.
        steps = (*steps[: stages - 1], steps[-1])
        steps = tuple(number // divisor for number in steps)
        config.settings[name] = {"method": {"steps": steps}}
    return config
