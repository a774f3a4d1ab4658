"""bfloat16 against float32 in the generator while it is searched.

Labels: `float32` and `bfloat16`, with the same images, measurements and starts;
`summary.md` has the paired differences, image by image. On a GPU: CPUs only emulate
bfloat16. Not in the paper.

ILO on the 64-pixel priors of faces, compressed sensing and inpainting. Variants:
`pggan` (mGANprior, 20 codes), `short` (8 images, on 32-pixel priors of cartoon faces),
`tiny` (4, minutes on two cores).

    python invert.py --config configs/ablations/precision.py \
        --config.images.source=faces64.zip --workdir runs/precision

What came out is in `docs/performance.md`.
"""

from configs.invert import ilo, mganprior
from rtil_jax.config import parse_variants


def get_config(variant=None):
    variants = parse_variants(variant, ("pggan", "short", "tiny"))
    pggan, size = "pggan" in variants, variants & {"short", "tiny"}
    if pggan:
        config = mganprior.with_variants({"short", "rtil"} | size)
        config.perceptual.distance = ""
    else:
        config = ilo.default(size)
    pair = ("avatars32" if size else "faces64") + ("_pggan" if pggan else "")
    config.priors.rtil = f"pretrained:{pair}_rtil"
    config.priors.vanilla = f"pretrained:{pair}_vanilla"
    config.problem = "compressed_sensing,inpainting"
    config.ratios = (0.1,) if size else (0.1, 0.25)
    config.ratios_for.inpainting = (0.5,)
    if not size:
        config.images.source = "faces64.zip"
        config.images.count = config.batch_size = 64
        if pggan:
            config.method.block = 3
    config.settings.float32 = {"precision": "float32"}
    config.settings.bfloat16 = {"precision": "bfloat16"}
    return config
