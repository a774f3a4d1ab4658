r"""CSGM: optimises the latent code alone, so the image stays in the generator's range.

Variants: `short` (minutes on two cores), `tiny` (about a minute).

    python invert.py --config configs/invert/csgm.py:short \
        --config.priors.rtil=runs/avatars/rtil \
        --config.priors.vanilla=runs/avatars/vanilla --workdir runs/avatars/csgm

Measured with `short` on the faces and priors of `configs/invert/ilo.py`: 17.5 (vanilla)
and 17.4 dB (RTIL) at 5 % circulant measurements, 18.7 and 18.6 at 10 %, 19.4 and 19.3
at 25 %; 0.8 s per image on two CPU cores.
"""

from rtil_jax.config import parse_variants
from rtil_jax.experiments.inversion.inversion_config import inversion_config


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = inversion_config("csgm")
    config.ratios = (0.05, 0.1, 0.25)
    if "short" in variants:
        config.method.steps = 300
        config.images.count = 8
    if "tiny" in variants:
        config.method.steps = 40
        config.ratios = (0.1, 0.25)
        config.images.count = config.batch_size = 4
    return config
