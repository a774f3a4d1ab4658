"""What the ratio of each problem is, in words."""

_NUMBERS = "measurements (% of the image's numbers)"
_PIXELS = "observed pixels (%)"
_BLUR = "1 / width of the blur in pixels"
RATIO_LABELS = {
    "compressed_sensing": _NUMBERS,
    "gaussian": _NUMBERS,
    "gaussian_deblurring": _BLUR,
    "inpainting": _PIXELS,
    "motion_deblurring": _BLUR,
    "super_resolution": "size of the measured image (fraction per side)",
}
# Problems whose ratios are read as 1 / a number of pixels.
RECIPROCALS = ("gaussian_deblurring", "motion_deblurring", "super_resolution")
