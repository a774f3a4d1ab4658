r"""ILO with and without a Gaussian prior on z_k, at 1 to 5 % of measurements.

RTIL draws z_k ~ N(0, sigma^2 I) in training, so a Gaussian prior on z_k at inversion is
faithful to an RTIL prior; a vanilla prior was trained with z_k = 0 only. Not in the
paper.

Labels: `without`, `with` (||z_k||^2 / (n sigma^2)) and `shell` ((||z_k|| / (sigma
sqrt(n)) - 1)^2). Variants: `short`, `tiny` (minutes on two cores), on the 32-pixel
priors of `configs/quickstart.py`.

    python invert.py --config configs/ablations/gaussian_prior.py \
        --workdir runs/gaussian_prior

Measured with `short` on 8 test faces and the priors of
`configs/stylegan2_faces64.py:{vanilla,rtil},cpu`, PSNR in dB; half-widths of the 95 %
intervals over images are 0.8 to 1.7:

               vanilla                  RTIL
    ratio      without  with   shell    without  with   shell
    0.01       15.75    16.14  14.76    16.53    16.69  16.62
    0.02       16.39    16.55  15.42    17.32    17.30  17.25
    0.05       18.85    19.15  17.97    19.47    19.45  19.21

So 8 images show no gain for RTIL. The shell costs a vanilla prior, which never saw a
z_k of that norm, about a decibel, and an RTIL prior almost nothing. With weight 1
all differences to `without` are within 0.25 dB.
"""

from configs.invert import ilo
from rtil_jax.config import parse_variants

# In the units of y, whose entries have the variance ||x||^2: it scales with the number
# of pixels. Without noise the posterior's weight is 0; this one was tried, not derived.
WEIGHT = 10.0


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = ilo.for_figures(variants)
    config.ratios = (0.01, 0.02, 0.05)
    if "tiny" in variants:
        config.ratios = (0.02, 0.05)
    config.settings = {
        "without": {"method": {"prior_weight": ()}},
        "with": {"method": {"prior_weight": (WEIGHT,)}},
        "shell": {"method": {"prior_weight": (WEIGHT,), "prior_form": "shell"}},
    }
    return config
