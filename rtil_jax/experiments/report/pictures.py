"""Draws grids of images and of samples."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Array, Float
from PIL import Image, ImageDraw, ImageFont

from rtil_jax.data.pixels import to_uint8
from rtil_jax.experiments.report.style import DPI, new_figure, save_figure
from rtil_jax.files import replacing

Images = Float[Array | np.ndarray, "n height width channels"]

MAX_GRID_ROWS = 8
TEXT = 16  # Height of the name above a row of samples, in pixels.
GRID_CELL = 256  # Smaller images are enlarged to this number of pixels in a grid.


def image_grid(
    columns: Mapping[str, Images],
    path: str,
    psnr: Mapping[str, Sequence[float] | Float[Array | np.ndarray, " n"]] | None = None,
) -> None:
    """Draws up to 8 images per column side by side, enlarged by a whole number.

    Args:
        columns: {title: images in [-1, 1]}, all with the same shape: the truth, the
            measurement (`Operator.preview`), reconstructions.
        path: the PNG to write.
        psnr: {title: PSNR in dB of each image}, printed below the images.
    """
    pixels = {title: to_uint8(x[:MAX_GRID_ROWS]) for title, x in columns.items()}
    rows, height, width, _ = next(iter(pixels.values())).shape
    scale = max(1, GRID_CELL // max(height, width))
    height, width, gap, text = height * scale, width * scale, 8, 40
    pitch = height + (text if psnr else gap)
    size = np.array([len(pixels) * (width + gap) + gap, text + rows * pitch])
    figure = new_figure(*size / DPI)
    for column, (title, images) in enumerate(pixels.items()):
        for row, image in enumerate(images):
            left, top = gap + column * (width + gap), text + row * pitch
            corner = left, size[1] - top - height
            axes = figure.add_axes([*corner / size, *(width, height) / size])
            axes.set_axis_off()
            rgb = np.broadcast_to(image, (*image.shape[:2], 3))
            axes.imshow(rgb, interpolation="nearest")
            if row == 0:
                # Long titles shrink to the width of their column.
                fitting = 135 * width / DPI / max(1, len(title))
                axes.set_title(title, fontsize=min(10, fitting))
            if psnr and title in psnr:
                value, at = psnr[title][row], (0.5, -4 / height)
                caption = "n/a" if math.isnan(value) else f"{value:.2f} dB"
                middle = {"transform": axes.transAxes, "ha": "center", "va": "top"}
                axes.text(*at, caption, **middle)
    save_figure(figure, path)


def sample_grid(
    names: Sequence[str],
    rows: Float[Array | np.ndarray, "rows columns height width channels"],
    path: str,
) -> None:
    """Writes samples as a PNG in their original size, with gaps of two pixels.

    Args:
        names: the name of each row, printed above it.
        rows: images in [-1, 1].
        path: the PNG to write.
    """
    pixels = np.pad(
        to_uint8(rows), [*[(0, 0)] * 3, (0, 2), (0, 0)], constant_values=255
    )
    count, columns, height, width, channels = pixels.shape
    lines = pixels.swapaxes(1, 2).reshape(count, height, columns * width, channels)
    font = ImageFont.load_default(TEXT - 4)
    widest = max(math.ceil(font.getlength(name)) for name in names)
    size = max(columns * width - 2, widest), count * (TEXT + height)
    picture = Image.new("L" if channels == 1 else "RGB", size, "white")
    pen = ImageDraw.Draw(picture)
    for index, (name, line) in enumerate(zip(names, lines, strict=True)):
        top = index * (TEXT + height)
        pen.text((0, top), name, fill="black", font=font)
        row = Image.fromarray(line[..., 0] if channels == 1 else line)
        picture.paste(row, (0, top + TEXT))
    with replacing(path, "wb") as file:
        picture.save(file, "PNG")
