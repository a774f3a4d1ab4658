"""Four rules for the iterate to keep: measurement loss, held-out loss, last, truth.

`held_out` first fits nine tenths of the measurements; the last tenth chooses the stage
and step at which a second fit, of all measurements, stops.

`oracle` reads the true image, as the public demo of RTIL does: its lead over
`measurement` is the part of a published number that cannot be reached in practice. The
report has a table of that lead. Variants: `short`, `tiny` (minutes on two cores), on
the 32-pixel priors of `configs/quickstart.py`. Not in the paper.

    python invert.py --config configs/ablations/selection.py --workdir runs/selection
"""

from configs.invert import ilo
from rtil_jax.config import parse_variants


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = ilo.for_figures(variants)
    config.select = "measurement,held_out,last,oracle"
    config.ratios = (0.01, 0.05, 0.1, 0.25)
    if "tiny" in variants:
        config.ratios = (0.05, 0.25)
    return config
