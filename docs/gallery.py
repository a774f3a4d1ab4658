"""Draws `docs/images/operators.png`: what every problem measures of one face.

python docs/gallery.py
"""

import os
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from rtil_jax import data
from rtil_jax.experiments import report
from rtil_jax.operators import (
    Denoising,
    MultiCoilFourier,
    ParallelBeamCT,
    Poisson,
    measure,
    sample_operator,
)
from rtil_jax.operators.ratios import RECIPROCALS

ROWS = (
    {
        "compressed_sensing": 0.5,
        "gaussian": 0.5,
        "fourier": 0.3,
        "phase_retrieval": 0.5,
        "denoising": 1.0,
    },
    {
        "inpainting": 0.25,
        "box_inpainting": 0.75,
        "super_resolution": 1 / 4,
        "gaussian_deblurring": 1 / 6,
        "motion_deblurring": 1 / 12,
        "colourisation": 1.0,
    },
)
NOISE = {"denoising": 0.3}


def main() -> None:
    images = data.load_images("avatars", "test", resolution=64, channels=3, count=1)
    face = jnp.asarray(data.to_float(images[np.arange(1)]))
    strips = [draw_row({"truth": face}, ROWS[0], face), draw_row({}, ROWS[1], face)]
    strips.append(draw_row(scans(face), {}, face))
    height = sum(strip.height for strip in strips)
    gallery = Image.new("RGB", (strips[0].width, height), "white")
    for index, strip in enumerate(strips):
        gallery.paste(strip, (0, index * strips[0].height))
    folder = os.path.join(os.path.dirname(__file__), "images")
    gallery.save(os.path.join(folder, "operators.png"), optimize=True)


def scans(face: jax.Array) -> dict[str, jax.Array]:
    """What is measured with arrays of one's own: CT, MRI with coils, photons."""
    shape, size = face.shape[1:], face.shape[1]
    at = np.linspace(-1, 1, size)
    corners = [(a, b) for a in (-1, 1) for b in (-1, 1)]
    maps = np.stack(
        [np.exp(-((at[:, None] - a) ** 2) / 2 - (at - b) ** 2 / 2) for a, b in corners]
    )
    lines = (np.arange(size) % 4 == 0) | (np.abs(np.arange(size) - size // 2) < 4)
    found = {}
    for title, operator in {
        "CT, 30 angles": ParallelBeamCT(np.arange(0, 180, 6), shape),
        "MRI, 4 coils, 1 line in 4": MultiCoilFourier(lines[None, :], maps, 3),
    }.items():
        found[title] = operator.preview(operator(face))
    noise = Poisson(peak=20)
    photons = Denoising(shape)
    y = measure(photons, face, jax.random.key(0), noise=noise)
    return found | {"20 photons per white pixel": photons.preview(y)}


def draw_row(columns: dict, problems: dict[str, float], face: jax.Array) -> Image.Image:
    """`columns` and the measurements of `face` by each problem, side by side."""
    for problem, ratio in problems.items():
        operator = sample_operator(problem, jax.random.key(0), face.shape[1:], ratio)
        y = measure(operator, face, jax.random.key(1), NOISE.get(problem, 0.0))
        amount = f"1/{1 / ratio:g}" if problem in RECIPROCALS else f"{ratio:.0%}"
        title = f"{problem.replace('_', ' ')}, {amount}"
        columns[title] = operator.preview(y)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "row.png")
        report.image_grid(columns, path)
        return Image.open(path).convert("RGB")


if __name__ == "__main__":
    main()
