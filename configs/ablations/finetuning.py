r"""Fine-tuning a vanilla checkpoint with RTIL for 1, 5 and 20 % of its steps.

Fine-tune with `init_from`. Here, on the 32-pixel faces, the checkpoints after 35, 175
and 700 steps are 1, 5 and 20 % of the vanilla prior's 3,500:

    python train.py --config configs/stylegan2_faces64.py:rtil,cpu \
        --config.data.source=faces64.zip --config.init_from=runs/faces32/vanilla \
        --config.training.steps=700 --config.checkpoint.every=35 \
        --config.checkpoint.keep_every=35 --workdir runs/faces32/tuned

A prior is the newest checkpoint of its directory, so each gets a directory with a copy
of `config.json` and of its `checkpoints/STEP`. `longer` is the vanilla prior after 700
more vanilla steps (the same command with `vanilla,cpu`), `vanilla_fast` the vanilla
prior at RTIL's learning rate.

    python invert.py --config configs/ablations/finetuning.py \
        --config.images.source=faces64.zip --workdir runs/finetuning

Variants: `short` (8 images), `tiny` (4, minutes on two cores). The results are in
`docs/reproduction.md`.
"""

from configs.ablations import reproduction
from configs.invert import ilo
from rtil_jax.config import parse_variants

VANILLA = ("vanilla", "longer")
TUNED = ("vanilla_fast", "tuned01", "tuned05", "tuned20", "rtil")


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = ilo.published({"short"} | variants & {"tiny"})
    for name in VANILLA + TUNED:
        config.priors[name] = f"runs/faces32/{name}"
    config.priors.rtil = "pretrained:faces32_rtil"
    config.priors.vanilla = config.priors.vanilla_fast = "pretrained:faces32_vanilla"
    best = reproduction.BEST["faces32", "few"]["plain"]
    config.method.update(reproduction.method(*best["rtil"]))
    for name in VANILLA:
        config.method_for[name] = reproduction.method(*best["vanilla"])
    if not variants:  # `short` and `tiny` say how many themselves
        config.images.count = 32
    config.ratios = (0.1, 0.25)
    return config
