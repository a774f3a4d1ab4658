"""The public RTIL demo of compressed sensing with ILO, setting by setting.

These settings produced its published numbers, oddities included:

    targets in [0, 1], compared with a generator of [-1, 1]    images.range
    the iterate closest to the *true* image, of the last stage  select
    the RGB skip of earlier blocks dropped at each stage        method.keep_skip
    z_k free from 0; styles and noise maps on spheres           method.sphere
    geocross 0.01 in the first stage alone                      method.geocross
    Adam, ramp of each stage to 0.2 (RTIL) or 0.1 (vanilla)     method.learning_rate
    circulant measurements, m = int(ratio n), not normalised    problem
    squared error over the m measurements, and no more          perceptual

Two things differ from the demo: the last iterate of a stage is scored too (the demo
stops one short), and styles are fitted to the prior in hand (the demo takes the mean
and standard deviation of another network's; `rtil_jax.priors.prior.StyleFit` takes
any). The demo's random numbers are not reproduced: it seeds none.

Variants: `short` (minutes on two cores), `tiny` (about a minute), on the 32-pixel
priors of `configs/quickstart.py`.

    python invert.py --config configs/parity/rtil_demo.py --workdir runs/rtil_demo

The saved results of the demo's three images at 10, 5 and 1 %, in dB: 33.35, 29.76,
24.58 (RTIL) and 31.28, 28.65, 22.01 (vanilla).

Measured with `short` on 8 test faces and the 32-pixel priors of
`configs/stylegan2_faces64.py:{vanilla,rtil},cpu`, PSNR in dB; 1.2 s per image on two
CPU cores. These settings are much harder on a vanilla prior than those of
`configs/invert/ilo.py`, where the difference at 10 % is +0.72.

    0.1     12.89  18.65   +5.76 +- 1.23
    0.05    11.93  17.46   +5.53 +- 1.30
    0.01     9.52  13.28   +3.76 +- 1.54
"""

from configs.invert import ilo
from rtil_jax.config import parse_variants


def get_config(variant=None):
    variants = parse_variants(variant, ("short", "tiny"))
    config = ilo.for_figures(variants)
    config.images.range = (0.0, 1.0)
    config.select = "oracle"
    config.method.keep_skip = False
    config.perceptual.distance = ""
    config.ratios = (0.1, 0.05, 0.01)
    if not variants:
        config.images.count = 3
    if "tiny" in variants:
        config.ratios = (0.25, 0.1)
    return config
