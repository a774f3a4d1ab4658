"""Writes pictures as PNGs."""

import numpy as np
from jaxtyping import Array, Float
from PIL import Image

from rtil_jax.data.pixels import to_uint8
from rtil_jax.files import replacing


def save_picture(path: str, image: Float[Array | np.ndarray, "h w c"]) -> None:
    """Writes an image in [-1, 1] as a PNG, grey if it has one channel."""
    pixels = to_uint8(image)
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    with replacing(path, "wb") as file:
        picture.save(file, "PNG")
