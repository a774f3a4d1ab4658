"""Recovers cartoon faces, for three problems and two shipped priors: `make demo`.

Neither prior was trained on these faces. The variant `tiny` is for tests.

    python invert.py --config configs/invert/demo.py --workdir runs/demo

Measured with an empty compilation cache on two shared CPU cores: 3 min 56 s, 5 min 40 s
of CPU time; on another day, with the published settings, 51 s. `docs/start.md`
shows what it prints.
"""

from configs.invert import ilo
from rtil_jax.config import parse_variants


def get_config(variant=None):
    variants = parse_variants(variant, ("tiny",))
    config = ilo.default({"short"} | variants)
    config.priors.vanilla = "pretrained:avatars32_vanilla"
    config.priors.rtil = "pretrained:avatars32_rtil"
    config.problem = "compressed_sensing,inpainting,super_resolution"
    config.ratios = (0.1,)
    config.ratios_for.super_resolution = (1 / 4,)
    # A minute of two cores has no time for the networks of LPIPS.
    config.lpips = ""
    config.method.steps = (100, 50, 50, 100)
    if "tiny" in variants:
        config.method.steps = (2, 1, 1, 1)
        config.images.count = 2
    return config
