"""Writes `report.html` about a `Reconstruction`: each image and how it explains y."""

import base64
import html
import io
import os
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from PIL import Image

from rtil_jax.data.pixels import to_uint8
from rtil_jax.errors import UserError
from rtil_jax.experiments.report import markup
from rtil_jax.files import local_path, replacing
from rtil_jax.inversion.problems import Problem, over_images, settle
from rtil_jax.inversion.reconstruction import Reconstruction

CELL = 192  # smaller pictures are enlarged to this number of CSS pixels
HOW_TO_READ = (
    "y is the measurement, x the recovered image, and A(x) the measurement of x. The "
    "residual is ||A(x) - y|| / sqrt(m) for m measurements; if x explains y up to its "
    "noise, it is the standard deviation of the noise. A measurement that is not a "
    "picture is drawn as A^T y, with the brightness that explains y best. |A(x) - y| "
    "is brightest where it is largest. The spread of several restarts is black where "
    "they agree, and white where their standard deviation is 1 or more."
)


def report(found: Any, directory: Any) -> str:
    """Writes a page `report.html` with y, x, A(x) and the residual of each image.

    Args:
        found: the result of `invert`.
        directory: the directory of the page; it is made if it does not exist.

    Returns:
        The path of the page, which needs no other file.

    Raises:
        UserError: if this is not a reconstruction, or the directory cannot be written.
    """
    if not isinstance(found, Reconstruction) or found.problem is None:
        raise UserError(
            f"report: found a {type(found).__name__}, expected the result of invert"
        )
    folder = local_path(directory, "report")
    path = os.path.join(folder, "report.html")
    parts = [markup.paragraph(HOW_TO_READ)]
    if found.problem.noise_std:
        noise = f"Noise of standard deviation {found.problem.noise_std:g} was stated."
        parts.append(markup.paragraph(noise))
    parts += _rows(found, found.problem)
    try:
        os.makedirs(folder, exist_ok=True)
        with replacing(path) as file:
            file.write(markup.document("What was recovered", parts))
    except OSError as error:
        raise UserError(
            f"report: {folder} cannot be written ({error.strerror})"
        ) from error
    return path


def _rows(found: Reconstruction, problem: Problem) -> list[str]:
    """Returns a heading and pictures for each image."""
    _, height, width, channels = found.images.shape
    problem = settle(problem, (height, width, channels))
    fitted = over_images(lambda operator, x: operator(x), problem, found.images)
    y = problem.measurements
    columns = {
        "y": _pictures(problem, y),
        "x": found.images,
        "A(x)": _pictures(problem, fitted),
        "|A(x) - y|": _errors(y, fitted),
        "spread": None if found.spread is None else 2 * np.minimum(found.spread, 1) - 1,
    }
    known = {n: np.asarray(x) for n, x in columns.items() if x is not None}
    parts = [markup.paragraph(f"Every x has {height} x {width} pixels.")]
    for index, line in enumerate(found.lines()):
        parts.append(markup.heading(2, line))
        cells = [_figure(f"{n} of image {index}", x[index]) for n, x in known.items()]
        parts.append(f'<div style="display: flex; gap: 1rem">{"".join(cells)}</div>')
    return parts


def _is_picture(y: Any) -> bool:
    """Tells whether measurements `(batch, ...)` are pictures with 1 or 3 channels."""
    return y.ndim == 4 and y.shape[-1] in (1, 3) and not jnp.iscomplexobj(y)


def _pictures(problem: Problem, y: Array) -> Array | None:
    """Returns pictures of measurements; None if the operator cannot show them."""
    if hasattr(type(problem.operators), "preview"):
        return over_images(lambda operator, y: operator.preview(y), problem, y)
    return y if _is_picture(y) else None


def _errors(y: Array, fitted: Array) -> Array | None:
    """Returns |A(x) - y| of pictures; black is 0, white the largest of the image."""
    if not _is_picture(y):
        return None
    error = jnp.abs(fitted - y)
    largest = jnp.max(error, axis=(1, 2, 3), keepdims=True)
    return 2 * error / jnp.maximum(largest, 1e-30) - 1


def _figure(caption: str, image: Float[np.ndarray, "h w c"]) -> str:
    """Returns a picture inside the page, enlarged by a whole number."""
    pixels = to_uint8(np.nan_to_num(image))
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    width = max(1, CELL // picture.width) * picture.width
    name = html.escape(caption, quote=True)
    return (
        f'<figure><img style="width: {width}px; image-rendering: pixelated" '
        f'alt="{name}" src="data:image/png;base64,{text}">'
        f"<figcaption>{name}</figcaption></figure>"
    )
