r"""The standard deviation sigma of RTIL's training noise: 1/4, 1/2, 1 and 2.

Each prior needs its own training run; the runs differ in one field. Train them with

    for sigma in 0.25 0.5 1 2; do
        python train.py --config configs/stylegan2_ffhq256.py:rtil \
            --config.family.sigma=$sigma --workdir runs/ffhq256/sigma_${sigma/./_}
    done

and the vanilla prior without that field. `short` and `tiny` (minutes on two cores) take
priors of `configs/quickstart.py` in `runs/avatars/`. A prior can be left out with
--config.priors.NAME=. Not in the paper.

    python invert.py --config configs/ablations/sigma.py --workdir runs/sigma
"""

from configs.invert import ilo
from rtil_jax.config import parse_variants

PRIORS = ("vanilla", "sigma_0_25", "sigma_0_5", "sigma_1", "sigma_2")


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = ilo.for_figures(variants)
    runs = "runs/avatars" if variants else "runs/ffhq256"
    config.priors = {name: f"{runs}/{name}" for name in PRIORS}
    config.ratios = (0.05, 0.1, 0.25)
    if "tiny" in variants:
        config.ratios = (0.1,)
    return config
