r"""Multi-code GAN prior, with the settings of the public RTIL demo.

Each prior gets its published setting: the one for vanilla priors if it is named
`vanilla`, and the one for RTIL otherwise. Variants: `rtil` or `vanilla` give one
setting to every prior; `short` (minutes on two cores, for generators from 32 pixels),
`tiny` (about a minute, from 16 pixels). The default mixes codes at 32 pixels, as the
paper does; mix them after the same block as in training: --config.method.block=3 for
the 64-pixel priors of `configs/pggan_faces64.py`, 2 (`short`) for its 32-pixel ones.

    python invert.py --config configs/invert/mganprior.py:short \
        --config.priors.rtil=runs/faces32/pggan_rtil \
        --config.priors.vanilla=runs/faces32/pggan_vanilla --workdir runs/faces32/mgan

Measured with `short` on 32 test faces and the priors of
`configs/pggan_faces64.py:{vanilla,rtil},cpu`, PSNR in dB and the paired difference with
its 95 % interval, N = 20; 2 to 5 s per image on two busy CPU cores. Same setting for
both (`short,rtil`), and vanilla with its own (`short`); squared errors alone,
`--config.perceptual.distance=`:

                               vanilla  RTIL   RTIL - vanilla   vanilla, SGD
    compressed sensing   0.1    19.37   19.72   +0.35 +- 0.35      19.71
                         0.25   22.89   23.29   +0.39 +- 0.31      22.67
                         0.5    25.16   25.86   +0.69 +- 0.29      24.31
    inpainting           0.3    23.20   23.55   +0.35 +- 0.29      20.89
    super-resolution     0.25   19.79   20.34   +0.55 +- 0.33      19.00

With N = 10 the differences are +0.02, +0.10, +0.63, +0.36 and +0.46; with N = 1 they
are -0.60, -0.41, -0.45, -0.36 and -0.22. SGD at its published rate has not converged
after 300 steps if the loss compares images (the last two problems).
"""

from rtil_jax.config import parse_variants
from rtil_jax.experiments.inversion.inversion_config import inversion_config

# The paper prints 0.1; the public code uses 0.05.
RTIL = {"optimizer": "adam", "learning_rate": 0.05, "start_weights": "dirichlet"}
# The published rate is 1 for images in [0, 1]. On [-1, 1] the loss, and with it the
# gradient, is four times as large. It was tuned for compressed sensing at 256 pixels:
# the circulant operator is not normalised, so at n numbers per image the loss is about
# n times that of images, and other sizes and problems see another descent.
VANILLA = {"optimizer": "sgd", "learning_rate": 0.25, "start_weights": "uniform"}


def get_config(variant=None):
    known = ("rtil", "vanilla", "short", "tiny")
    return with_variants(parse_variants(variant, known))


def for_figures(variants):
    """The same, with the priors and images of the paper's figures by name.

    `configs/ablations/` takes them from here: priors of `configs/pggan_ffhq256.py` and
    a folder of CelebA-HQ; `short` and `tiny` shipped ones of cartoon faces.
    """
    config = with_variants(variants)
    small = variants & {"short", "tiny"}
    where = "pretrained:avatars32_pggan_" if small else "runs/ffhq256/pggan_"
    config.priors.update({name: where + name for name in ("rtil", "vanilla")})
    if not small:
        config.images.source = "celebahq"
        config.images.count = 100
    return config


def with_variants(variants):
    config = inversion_config("mganprior")
    config.method.update(VANILLA if "vanilla" in variants else RTIL)
    if not variants & {"rtil", "vanilla"}:
        config.method_for.vanilla = VANILLA
    # Appendix A.4: Gu et al.'s distance, which their code masks. The weight of vanilla
    # priors goes with the prior's name, whatever the optimiser.
    config.perceptual.distance = "vgg_l1"
    config.perceptual.fill = False
    config.perceptual.weights = {"inpainting": 0.1, "super_resolution": 0.1}
    config.perceptual.from_ratio = {"super_resolution": 1 / 8}
    config.perceptual_for.vanilla = {
        "weights": {"inpainting": 0.5, "super_resolution": 0.5}
    }
    config.ratios = (0.1, 0.25, 0.5)
    config.batch_size = 8
    if "short" in variants:
        config.method.block = 2
        config.method.steps = 300
        config.images.count = 8
    if "tiny" in variants:
        config.method.block = 2
        config.method.codes = 4
        config.method.steps = 40
        config.ratios = (0.1, 0.25)
        config.images.count = config.batch_size = 4
    return config
