"""Intermediate Layer Optimization, with the settings of the public RTIL demo.

Variants: `short` (minutes on two cores; four stages, for generators from 32 pixels),
`tiny` (about a minute; three stages, from 16 pixels). The default's five stages are
for generators from 64 pixels.

    python invert.py --config configs/invert/ilo.py:short \
        --config.priors.rtil=runs/avatars/rtil \
        --config.priors.vanilla=runs/avatars/vanilla --workdir runs/avatars/ilo
"""

from rtil_jax.config import parse_variants
from rtil_jax.inversion.defaults import inversion_config


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = inversion_config("ilo")
    # The public code tunes the rate for each training: 0.2 for RTIL, 0.1 for vanilla.
    config.method.learning_rate = 0.2
    config.method_for.vanilla = {"learning_rate": 0.1}
    config.ratios = (0.05, 0.1, 0.25)
    if "short" in variants:
        config.method.steps = (200, 100, 100, 200)
        config.images.count = 8
    if "tiny" in variants:
        config.method.steps = (40, 20, 20)
        config.ratios = (0.1, 0.25)
        config.images.count = config.batch_size = 4
    return config
