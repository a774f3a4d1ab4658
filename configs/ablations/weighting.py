r"""The weight lambda of the base model in equation (2): 1/4, 1/2, 3/4, and uniform.

With K perturbed members, uniform is lambda = 1 / (K + 1), the public code's choice.

Each prior needs its own training run; the runs differ in one field. Train them with

    for lambda in 0.25 0.5 0.75; do
        python train.py --config configs/stylegan2_ffhq256.py:rtil,paper_weights \
            --config.family.base_weight=$lambda \
            --workdir runs/ffhq256/lambda_${lambda/./_}
    done

and the vanilla prior without that field. `short` and `tiny` (minutes on two cores) take
priors of `configs/quickstart.py` in `runs/avatars/`. A prior can be left out with
--config.priors.NAME=. Not in the paper.

    python invert.py --config configs/ablations/weighting.py --workdir runs/weighting
"""

from configs.invert import ilo
from rtil_jax.config import parse_variants

# `rtil` is uniform.
PRIORS = ("vanilla", "rtil", "lambda_0_25", "lambda_0_5", "lambda_0_75")


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = ilo.for_figures(variants)
    runs = "runs/avatars" if variants else "runs/ffhq256"
    config.priors = {name: f"{runs}/{name}" for name in PRIORS}
    config.ratios = (0.05, 0.1, 0.25)
    if "tiny" in variants:
        config.ratios = (0.1,)
    return config
