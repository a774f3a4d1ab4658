"""The published curves of the paper, to draw beside your own.

The values are PSNR in dB on 256-pixel faces (FFHQ): the mean over 100 images and the
ends of its 95 % interval, digitised from Figure 4 (ILO) and Figure 5 (mGANprior). Some
markers hide others (inpainting at 5 %, super-resolution at 1/16 and 1/8 with ILO);
there the value comes from the ends of the bar, to 0.03 dB.
"""

from rtil_jax.errors import UserError

Value = tuple[float, float, float]  # mean, lower and upper end of the interval
# Problem -> ratio -> values of RTIL and vanilla.
Curves = dict[str, dict[float, tuple[Value, Value]]]

_ILO: Curves = {
    "compressed_sensing": {
        0.01: ((24.06, 23.61, 24.51), (23.21, 22.64, 23.77)),
        0.05: ((29.83, 29.25, 30.41), (28.55, 27.94, 29.18)),
        0.10: ((33.13, 32.62, 33.65), (31.71, 31.14, 32.29)),
        0.15: ((35.01, 34.52, 35.49), (33.42, 32.69, 34.15)),
        0.25: ((37.61, 37.10, 38.11), (36.33, 35.92, 36.76)),
    },
    "inpainting": {
        0.01: ((19.60, 19.24, 19.97), (20.13, 19.59, 20.67)),
        0.05: ((24.77, 24.28, 25.25), (24.47, 23.94, 25.00)),
        0.15: ((29.38, 28.82, 29.92), (28.43, 27.94, 28.90)),
        0.25: ((32.13, 31.60, 32.65), (30.52, 30.00, 31.06)),
        0.50: ((36.78, 36.28, 37.30), (34.89, 34.27, 35.53)),
    },
    "super_resolution": {
        1 / 16: ((21.50, 21.23, 21.77), (21.36, 21.06, 21.66)),
        1 / 8: ((25.11, 24.90, 25.32), (25.00, 24.75, 25.25)),
        1 / 4: ((29.29, 29.02, 29.57), (28.52, 28.25, 28.78)),
        1 / 2: ((33.82, 33.53, 34.14), (33.28, 33.06, 33.50)),
    },
}
_MGANPRIOR: Curves = {
    "compressed_sensing": {
        0.01: ((24.45, 24.03, 24.87), (24.67, 24.33, 25.00)),
        0.10: ((30.10, 29.74, 30.45), (28.65, 28.23, 29.08)),
        0.25: ((30.63, 30.20, 31.07), (28.99, 28.55, 29.44)),
        0.50: ((30.80, 30.43, 31.18), (29.14, 28.71, 29.56)),
        0.75: ((30.90, 30.52, 31.28), (29.14, 28.69, 29.58)),
        1.00: ((31.01, 30.62, 31.40), (29.24, 28.80, 29.69)),
    },
    "inpainting": {
        0.01: ((20.35, 19.93, 20.77), (20.39, 19.92, 20.84)),
        0.10: ((27.63, 27.15, 28.11), (26.05, 25.54, 26.54)),
        0.20: ((29.32, 28.83, 29.79), (27.32, 26.87, 27.75)),
        0.30: ((29.94, 29.52, 30.37), (27.71, 27.26, 28.15)),
        0.50: ((30.51, 30.09, 30.95), (28.01, 27.57, 28.44)),
    },
    "super_resolution": {
        1 / 16: ((21.20, 20.72, 21.68), (21.60, 21.08, 22.12)),
        1 / 8: ((24.93, 24.43, 25.43), (24.34, 23.93, 24.74)),
        1 / 4: ((28.70, 28.27, 29.12), (27.19, 26.76, 27.63)),
        1 / 2: ((29.96, 29.51, 30.40), (27.68, 27.28, 28.08)),
    },
}
PUBLISHED = {"ilo": _ILO, "mganprior": _MGANPRIOR}
PUBLISHED_PRIORS = ("RTIL", "vanilla")


def published_curves(name: str) -> Curves:
    """Returns the paper's curves of one method; none for "".

    Raises:
        UserError: if the paper has no curves of this method.
    """
    if not name:
        return {}
    if name not in PUBLISHED:
        known = ", ".join(PUBLISHED)
        raise UserError(
            f"config.figure.published: found {name!r}, expected one of {known}, or ''"
        )
    return PUBLISHED[name]
