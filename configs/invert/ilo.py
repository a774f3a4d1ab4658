r"""Intermediate Layer Optimization, with one setting for every prior and problem.

ILO moves z_k in units of the prior's own features; a penalty relative to those units
and to the measurements keeps it near its start. It takes 700 steps in five stages, for
generators of at least 64 pixels.

    python invert.py --config configs/invert/ilo.py:short \
        --config.priors.rtil=runs/avatars/rtil \
        --config.priors.vanilla=runs/avatars/vanilla --workdir runs/avatars/ilo

Variants: `short` (8 images, four stages, from 32 pixels), `tiny` (about a minute; three
stages, from 16 pixels).
`baselines` adds the methods without a prior to every table (`baselines.py`).

`published` uses the settings of the paper and of the public RTIL demo instead: absolute
units, one learning rate for RTIL and another for vanilla, 7,000 steps, and LPIPS in the
loss at high ratios. `published,short` takes a tenth of those steps, `fast` a fifth of
them.

Measured with `published,short` on 32 test faces and the priors of
`configs/stylegan2_faces64.py:{vanilla,rtil},cpu`: PSNR in dB, and RTIL minus vanilla
with its 95 % interval; 1.6 s per image on two CPU cores. The losses are squared errors
alone, `--config.perceptual.distance=`:

    compressed sensing  0.05   18.19  18.98   +0.79 +- 0.33
                        0.1    20.28  21.00   +0.72 +- 0.30
                        0.25   24.55  24.49   -0.05 +- 0.29
    inpainting          0.25   23.52  23.80   +0.28 +- 0.31
                        0.5    28.88  27.98   -0.90 +- 0.37
    super-resolution    0.25   21.35  21.64   +0.29 +- 0.24

`fast` against the paper's budget (2,000, 1,000, 1,000, 2,000 steps), compressed
sensing, the 16 faces on which it was chosen, PSNR in dB: +0.41 +- 0.28 at 0.1 and +0.08
+- 0.28 at 0.25 with the RTIL prior, +0.26 +- 0.32 at 0.1 with the vanilla one; on
16 test faces at 0.1 +0.55 +- 0.23 and +0.20 +- 0.23. Other budgets are in
`docs/performance.md`.

LPIPS in the loss was measured on the first 4 of them with the RTIL prior, inpainting at
0.5: 29.3 dB without LPIPS; 30.6 if it compares mask * G with y; 22.1 if G fills the
gaps of y before it is compared with all of G, as in the public code of ILO and in the
full-size config here (26.9 with a weight of 0.03). So `short` and `tiny` mask; which is
better at 256 pixels has not been measured: --config.perceptual.fill=False.
"""

from configs.invert import baselines
from rtil_jax.config import parse_variants
from rtil_jax.experiments.inversion.inversion_config import inversion_config


def get_config(variant=None):
    known = ("published", "fast", "short", "tiny", "baselines")
    variants = parse_variants(variant, known)
    settings = published if variants & {"published", "fast"} else default
    config = settings(variants)
    if "baselines" in variants:
        config.settings = {"ilo": {}} | baselines.settings(variants)
        config.where_it_fits = True
    return config


def for_figures(variants):
    """`published`, with the priors and images of the paper's figures by name.

    `configs/ablations/` takes them from here: priors of `configs/stylegan2_ffhq256.py`
    and a folder of CelebA-HQ; `short` and `tiny` shipped ones of cartoon faces.
    """
    config = published(variants)
    small = variants & {"short", "tiny"}
    where = "pretrained:avatars32_" if small else "runs/ffhq256/"
    config.priors.update({name: where + name for name in ("rtil", "vanilla")})
    if not small:
        config.images.source = "celebahq"
        config.images.count = 100
    return config


def default(variants):
    """One setting for every prior and every problem."""
    config = sized(variants)
    config.method.units = "features"
    config.method.unit = 4.0
    config.method.learning_rate = 0.2
    config.method.prior_form = "relative"
    config.method.prior_weight = (0.1,)
    if "tiny" not in variants:
        middle = (100, 100) if "short" in variants else (100, 100, 100)
        config.method.steps = (200, *middle, 200)
    config.perceptual.distance = ""
    return config


def published(variants):
    """The paper's settings, which differ between priors."""
    config = sized(variants)
    # The public code tunes the rate for each training: 0.2 for RTIL, 0.1 for vanilla.
    config.method.learning_rate = 0.2
    config.method_for.vanilla = {"learning_rate": 0.1}
    # Appendix A.3: LPIPS joins the squared error where at least half of the pixels are
    # seen, or the small image is more than 1/16 of the size.
    config.perceptual.distance = "lpips"
    config.perceptual.weights = {"inpainting": 1.0, "super_resolution": 1.0}
    config.perceptual.from_ratio = {"inpainting": 1 / 2, "super_resolution": 1 / 8}
    config.perceptual_for.vanilla = {"weights": {"super_resolution": 1.5}}
    if variants & {"short", "tiny"}:
        config.perceptual.fill = False  # see above
    if "fast" in variants:
        config.method.steps = (150, 200, 250, 600)
    elif "short" in variants:
        config.method.steps = (200, 100, 100, 200)
    return config


def sized(variants):
    """ILO with the images and ratios of a variant; `tiny` has few steps as well."""
    config = inversion_config("ilo")
    config.ratios = (0.05, 0.1, 0.25)
    if "short" in variants:
        config.images.count = 8
    if "tiny" in variants:
        config.method.steps = (40, 20, 20)
        config.ratios = (0.1, 0.25)
        config.images.count = config.batch_size = 4
    return config
