"""Image quality, one value per image, and confidence intervals over images.

Images are float `(batch, height, width, channels)`, grey or RGB, with values in [0, 1].
Map and clip images in [-1, 1] first:

    unit = [jnp.clip((images + 1) / 2, 0, 1) for images in (found.images, truth)]
    metrics.psnr(*unit)

Other values raise a UserError that says what to write. The results equal those of
scikit-image's functions of the same name, averaged over channels.
"""

import math
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rtil_jax.arrays import (
    as_array,
    as_number,
    check_pair,
    check_values,
    extent_of,
    is_traced,
)
from rtil_jax.errors import UserError

# scikit-image's Gaussian with sigma 1.5, truncated at 3.5 sigma, and its 7x7 box.
_GAUSSIAN = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
_TAPS = {"gaussian": _GAUSSIAN / _GAUSSIAN.sum(), "uniform": np.full(7, 1 / 7)}


def psnr(x: Any, y: Any, data_range: Any = 1.0) -> Float[Array, " batch"]:
    """Returns the peak signal-to-noise ratio in dB; infinite for identical images.

    >>> import numpy as np
    >>> truth = np.full((1, 8, 8, 3), 0.5, np.float32)
    >>> print(psnr(truth + 0.1, truth).round(2))
    [20.]

    Args:
        x: images in [0, 1], `(batch, height, width, channels)`.
        y: images of the same shape.
        data_range: white minus black, above 0. If it is not 1, values may be in
            [0, data_range] or in [-data_range / 2, data_range / 2]: for images in
            [-1, 1] it is 2.

    Raises:
        UserError: if the images have other values, types or shapes. Under `jax.jit`
            values are unknown and not checked.
    """
    x, y = _checked("psnr", x, y, data_range)
    mse = jnp.mean(jnp.square(x - y), axis=(1, 2, 3))
    return 10 * jnp.log10(data_range**2 / mse)


def ssim(
    x: Any,
    y: Any,
    *,
    window: Any = "gaussian",
    data_range: Any = 1.0,
) -> Float[Array, " batch"]:
    """Returns the structural similarity, averaged over pixels and channels.

    It is the SSIM of Wang et al. (2004).

    Args:
        x: images in [0, 1], `(batch, height, width, channels)`.
        y: images of the same shape.
        window: `gaussian` as in the paper (11x11 taps, sigma 1.5, population
            covariance), or `uniform`, the default of scikit-image (7x7, sample
            covariance).
        data_range: white minus black, as for `psnr`. Use 2 to reproduce published
            values that old releases of scikit-image computed on floats in [0, 1].

    Raises:
        UserError: as `psnr`, or if the images are smaller than the window.
    """
    x, y = _checked("ssim", x, y, data_range)
    if not isinstance(window, str) or window not in _TAPS:
        raise UserError(f"ssim: window: found {window!r}, expected gaussian or uniform")
    taps = _TAPS[window]
    if min(x.shape[1:3]) < taps.size:
        raise UserError(
            f"ssim: found images of {x.shape[1]}x{x.shape[2]} pixels, expected at "
            f"least {taps.size}x{taps.size} for the {window} window"
        )
    moments = jnp.stack([x, y, x * x, y * y, x * y])
    mean_x, mean_y, xx, yy, xy = _window_means(moments, taps)
    samples = taps.size**2
    unbiased = samples / (samples - 1) if window == "uniform" else 1.0
    variance_x = unbiased * (xx - mean_x**2)
    variance_y = unbiased * (yy - mean_y**2)
    covariance = unbiased * (xy - mean_x * mean_y)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return jnp.mean(luminance * structure, axis=(1, 2, 3))


def _checked(metric: str, x: Any, y: Any, data_range: Any) -> tuple[Array, Array]:
    """Returns both as JAX arrays; raises UserError if the metric cannot read them."""
    x, y = check_pair(metric, x, y)
    if not is_traced(data_range):
        name, least = f"{metric}: data_range", sys.float_info.min
        size = as_number(name, data_range, least, math.inf, "a number above 0")
        limits = 0.0, max(size, 1.0)
        found = extent_of(x), extent_of(y)
        if size != 1 and any(each and each[0] < 0 for each in found):
            limits = -size / 2, size / 2
        for name, images in (("x", x), ("y", y)):
            check_values(f"{metric}: {name}", images, limits)
    return jnp.asarray(x), jnp.asarray(y)


def _window_means(
    x: Float[Array, "moments batch height width channels"], taps: np.ndarray
) -> Float[Array, "moments batch height2 width2 channels"]:
    """Returns the means under every window that lies wholly inside the image."""
    for axis in (2, 3):
        size = x.shape[axis] - taps.size + 1
        x = sum(
            tap * jax.lax.slice_in_dim(x, k, k + size, axis=axis)
            for k, tap in enumerate(taps.tolist())
        )
    return x


def confidence_interval(
    values: Any,
    level: float = 0.95,
) -> tuple[float, float]:
    """Returns the mean over images and half the width of its confidence interval.

    The interval is Student's t interval.

    >>> mean, half = confidence_interval([20.0, 22.0, 24.0])
    >>> f"{mean:.2f} ± {half:.2f}"
    '22.00 ± 4.97'

    Half the width is NaN for fewer than two values, or if a value is infinite.

    Args:
        values: one number per image, `(images,)`.
        level: the confidence level, in (0, 1).
    """
    array = as_array("confidence_interval", values)
    if array.ndim != 1:
        raise UserError(
            f"confidence_interval: found shape {array.shape}, expected one number per "
            "image"
        )
    values = np.asarray(array, np.float64)
    count = values.size
    mean = float(np.mean(values)) if count else np.nan
    if count < 2 or not np.isfinite(values).all():
        return mean, np.nan
    # Imported here because SciPy is slow to import, and scipy.stats slower still.
    from scipy.special import stdtrit

    error = np.std(values, ddof=1) / np.sqrt(count)
    return mean, float(stdtrit(count - 1, (1 + level) / 2) * error)
