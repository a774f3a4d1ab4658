"""What the ratio of each problem is, in words."""

_NUMBERS = "measurements (% of the image's numbers)"
_PIXELS = "observed pixels (%)"
RATIO_LABELS = {
    "compressed_sensing": _NUMBERS,
    "gaussian": _NUMBERS,
    "inpainting": _PIXELS,
    "super_resolution": "size of the measured image (fraction per side)",
}
# Problems whose ratios are read as 1 / a number of pixels.
RECIPROCALS = ("super_resolution",)
