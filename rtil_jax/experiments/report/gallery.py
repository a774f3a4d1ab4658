"""The pictures of the page: truth, measurement, recovered and error map of images."""

import base64
import html
import io
import math

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from rtil_jax.experiments.report import markup
from rtil_jax.experiments.report.shown import Shown, error_map

GIVEN = "truth", "measurement"
LEAST = 160  # smaller pictures are enlarged to this number of CSS pixels
HOW_TO_READ = (
    "Click a picture to enlarge it. An error map shows |recovered − truth|, the "
    "largest over the channels, as a share of the range of images. Black is no error; "
    "white is the error in its caption, which is the same for all maps of an image."
)


def gallery(shown: Shown, setting: str) -> str:
    """Returns a row of pictures for each image, under its file name."""
    parts = []
    for index, name in enumerate(shown.names):
        about = f"{name}, {setting}"
        given = [
            _figure(title, pixels[index], f"{title} of {about}")
            for title, pixels in shown.columns.items()
            if title in GIVEN
        ]
        cells = "".join([*given, *_recovered(shown, index, about)])
        parts.append(f'<h4>{html.escape(name)}</h4><div class="pictures">{cells}</div>')
    return "\n".join(parts)


def _recovered(shown: Shown, index: int, about: str) -> list[str]:
    """Returns the recovered pictures of an image, with error maps if possible."""
    columns = shown.columns
    found = {title: x[index] for title, x in columns.items() if title not in GIVEN}
    errors = {
        title: error_map(pixels, columns["truth"][index])
        for title, pixels in found.items()
        if "truth" in columns and title in shown.psnr
    }
    largest = max((float(error.max()) for error in errors.values()), default=0) or 1
    cells = []
    for title, pixels in found.items():
        psnr = shown.psnr[title][index] if title in shown.psnr else math.nan
        caption = title if math.isnan(psnr) else f"{title}: {psnr:.2f} dB"
        pair = _figure(caption, pixels, f"{title} of {about}")
        if title in errors:
            shades = np.rint(255 * errors[title] / largest).astype(np.uint8)
            words = f"error, white: {largest:.2g}"
            pair += _figure(words, shades[..., None], f"error of {title} of {about}")
        cells.append(f'<div class="pair">{pair}</div>')
    return cells


def _figure(caption: str, pixels: UInt8[np.ndarray, "h w c"], alt: str) -> str:
    """Returns a picture that the script of the page can enlarge."""
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    width = math.ceil(LEAST / picture.width) * picture.width
    return (
        f'<figure><img class="zoom pixels" tabindex="0" style="width: {width}px" '
        f'alt="{html.escape(alt, quote=True)}" src="data:image/png;base64,{text}">'
        f"<figcaption>{markup.prose(caption)}</figcaption></figure>"
    )
