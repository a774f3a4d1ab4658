"""Figure 6: ILO at every depth, from z0 alone to z4, with the budgets of Appendix A.6.

The vanilla prior against RTIL at every depth; z0 is CSGM in ILO's variables. Variants:
`short` (about ten minutes on two cores), `tiny` (minutes), on the 32-pixel priors of
`configs/quickstart.py`, whose four blocks allow z0 to z3 (`tiny`: to z2).

    python invert.py --config configs/ablations/fig6.py --workdir runs/fig6
"""

from configs.invert import ilo
from rtil_jax.config import parse_variants


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = ilo.for_figures(variants)
    config.problem = "compressed_sensing,inpainting"
    config.ratios = (0.01, 0.05, 0.1, 0.15, 0.25)
    config.ratios_for.inpainting = (0.01, 0.05, 0.15, 0.25, 0.5)
    config.images.count = 5
    first, middle, last = 2_000, 1_000, 2_000
    deepest = 4
    if "short" in variants:
        first, middle, last = 200, 100, 200
        deepest = 3
    if "tiny" in variants:
        first, middle, last = 40, 20, 20
        deepest = 2
        config.ratios = config.ratios_for.inpainting = (0.05, 0.25)
        config.images.count = 4
    for depth in range(deepest + 1):
        steps = (first, *[middle] * (depth - 1), last) if depth else (first,)
        config.settings[f"z{depth}"] = {"method": {"steps": steps}}
    return config
