r"""Generator Surgery: drops the first blocks and optimises the features at the cut.

Variants: `short` (minutes on two cores), `tiny` (about a minute). All cut after block
2 (8 pixels); the authors choose the cut of each network on validation images.

    python invert.py --config configs/invert/surgery.py:short \
        --config.priors.rtil=runs/avatars/rtil \
        --config.priors.vanilla=runs/avatars/vanilla --workdir runs/avatars/surgery

Measured with `short` on the first 8 faces and the priors of `configs/invert/ilo.py`:
14.7 (vanilla) and 17.5 dB (RTIL) at 5 % circulant measurements, 17.5 and 19.0 at 10 %,
23.1 and 22.2 at 25 %; about 1 s per image on two CPU cores.
"""

from rtil_jax.config import parse_variants
from rtil_jax.experiments.inversion.inversion_config import inversion_config


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = inversion_config("surgery")
    config.ratios = (0.05, 0.1, 0.25)
    if "short" in variants:
        config.method.steps = 300
        config.images.count = 8
    if "tiny" in variants:
        config.method.steps = 40
        config.ratios = (0.1, 0.25)
        config.images.count = config.batch_size = 4
    return config
