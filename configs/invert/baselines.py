r"""Methods without a prior: every baseline that suits each problem, in one table.

A Gaussian field, total variation, wavelets, plug-and-play with non-local means and the
Deep Decoder solve every linear problem, `biharmonic` fills missing pixels, and
`bicubic` enlarges images (super-resolution). They need `pip install ".[baselines]"`.
Images are grey, of 64 pixels, unless --config.images.resolution and
--config.images.channels say otherwise. Variants: `short` (8 images, minutes on two
cores), `tiny` (about a minute, 16 pixels).

    python invert.py --config configs/invert/baselines.py:short \
        --config.images.source=faces.zip --workdir runs/baselines

`configs/invert/ilo.py:baselines` compares them with ILO, on images of the priors' size.
Plug-and-play uses BM3D, whose package is free for non-commercial use only, with
--config.settings.plug_and_play.method.denoiser=bm3d.
"""

from rtil_jax.config import parse_variants
from rtil_jax.experiments.inversion.inversion_config import inversion_config

NAMES = (
    "bicubic",
    "biharmonic",
    "deep_decoder",
    "gaussian_field",
    "plug_and_play",
    "total_variation",
    "wavelet",
)


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = inversion_config("total_variation")
    config.problem = "compressed_sensing,inpainting,super_resolution"
    config.ratios = (0.05, 0.1, 0.25)
    config.ratios_for.super_resolution = (1 / 8, 1 / 4)
    config.images.resolution = 64
    config.images.channels = 1
    config.where_it_fits = True
    config.settings = settings(variants)
    if "short" in variants:
        config.ratios = (0.1, 0.25)
        config.ratios_for.super_resolution = (1 / 4,)
        config.images.count = 8
    if "tiny" in variants:
        config.images.resolution = 16
        config.ratios = (0.25,)
        config.ratios_for.super_resolution = (1 / 2,)
        config.images.count = config.batch_size = 4
    return config


def settings(variants):
    """Label -> its method, for `config.settings`."""
    found = {name: {"method": {"name": name}} for name in NAMES}
    if "tiny" in variants:
        found["deep_decoder"]["method"] |= {"steps": 50, "width": 8}
        for name in ("plug_and_play", "total_variation", "wavelet"):
            found[name]["method"]["iterations"] = 10
    return found
