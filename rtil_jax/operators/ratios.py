"""The meaning of the ratio of each problem, in words, and checks of ratios."""

from typing import Any

from rtil_jax.errors import UserError

_NUMBERS = "measurements (% of the image's numbers)"
_PIXELS = "observed pixels (%)"
_BLUR = "1 / width of the blur in pixels"
RATIO_LABELS = {
    "box_inpainting": _PIXELS,
    "colourisation": _PIXELS,
    "compressed_sensing": _NUMBERS,
    "denoising": _PIXELS,
    "fourier": "measured lines of the spectrum (%)",
    "gaussian": _NUMBERS,
    "gaussian_deblurring": _BLUR,
    "inpainting": _PIXELS,
    "motion_deblurring": _BLUR,
    "phase_retrieval": "measured magnitudes (% of the image's numbers)",
    "super_resolution": "size of the measured image (fraction per side)",
}
# Problems whose ratios are read as 1 / a number of pixels.
RECIPROCALS = ("gaussian_deblurring", "motion_deblurring", "super_resolution")


def check_ratio(problem: str, ratio: Any) -> float:
    """Returns a ratio as a Python number; raises UserError unless it is in (0, 1]."""
    try:
        if isinstance(ratio, bool | str | bytes):
            raise TypeError
        number = float(ratio)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"ratios: found {ratio!r}, expected numbers in (0, 1]"
        ) from error
    if not 0 < number <= 1:
        raise UserError(
            f"ratios: found {number:g}, expected numbers in (0, 1]"
            f"{ratio_hint(problem, number)}"
        )
    return number


def ratio_hint(problem: str, ratio: float) -> str:
    """Says what to write instead of a factor or a percentage, or ""."""
    if not 1 < ratio <= 100:
        return ""
    if problem in RECIPROCALS:
        return f"; for a factor of {ratio:g} write 1 / {ratio:g} = {1 / ratio:g}"
    return f"; for {ratio:g} % write {ratio / 100:g}"


def require_whole(problem: str, ratio: float | int) -> None:
    """Raises UserError unless `ratio` is 1, for problems that measure every pixel."""
    if ratio != 1:
        raise UserError(
            f"ratios: found {ratio:g} with problem={problem}, which measures every "
            "pixel, expected 1 (--config.ratios='(1.0,)')"
        )
