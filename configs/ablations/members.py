r"""Training with members of RTIL's family drawn at random, or with all at every step.

Drawing a member for each group of images costs as much as vanilla training and has the
same expectation; the public code enumerates all members, which makes a step K + 1 times
as expensive.

Each prior needs its own training run; the runs differ in one field. Train them with

    for members in drawn enumerated; do
        python train.py --config configs/stylegan2_ffhq256.py:rtil \
            --config.family.members=$members --workdir runs/ffhq256/$members
    done

and the vanilla prior without that field. `short` and `tiny` (minutes on two cores) take
priors of `configs/quickstart.py` in `runs/avatars/`. A prior can be left out with
--config.priors.NAME=. Not in the paper.

    python invert.py --config configs/ablations/members.py --workdir runs/members
"""

from configs.invert import ilo
from rtil_jax.config import parse_variants

PRIORS = ("vanilla", "drawn", "enumerated")


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = ilo.for_figures(variants)
    runs = "runs/avatars" if variants else "runs/ffhq256"
    config.priors = {name: f"{runs}/{name}" for name in PRIORS}
    config.ratios = (0.05, 0.1, 0.25)
    if "tiny" in variants:
        config.ratios = (0.1,)
    return config
