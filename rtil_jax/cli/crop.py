"""Cuts a square of a photograph and its mask to a prior's size.

rtil crop PHOTO.jpg --size 64 --to DIR [--mask MASK.png]
    [--box LEFT,TOP,SIDE]

The mask is white where the photograph is seen; without --mask, the alpha channel of the
photograph serves as one. The square is the central one unless --box names another.

Writes DIR/photo.png, whose pixels are mean colours over their area; DIR/mask.png, white
where the whole area of a pixel is seen; and DIR/crop.json for `rtil paste`.
"""

import argparse
import json
import os

import numpy as np
from PIL import Image

from rtil_jax.cli.flags import Parser, integer
from rtil_jax.data.crops import (
    check_box,
    read_mask,
    read_photograph,
    shrink_by_area,
    shrink_by_minimum,
)
from rtil_jax.errors import UserError
from rtil_jax.files import local_path, read_json, replacing


def box(text: str) -> tuple[int, int, int]:
    try:
        left, top, side = map(int, text.split(","))
    except ValueError:
        message = f"found {text!r}, expected LEFT,TOP,SIDE in pixels, like 120,40,512"
        raise argparse.ArgumentTypeError(message) from None
    return left, top, side


def add_arguments(parser: Parser) -> None:
    parser.add_argument("photo", help="a picture in any format that Pillow reads")
    parser.add_argument(
        "--size", type=integer, required=True, help="height and width of the prior"
    )
    parser.add_argument("--to", required=True, metavar="DIR", help="the folder to make")
    parser.add_argument(
        "--mask", help="a picture as large as the photograph, white where it is seen"
    )
    parser.add_argument(
        "--box", type=box, metavar="LEFT,TOP,SIDE", help="the square, in pixels"
    )


def run(arguments: argparse.Namespace) -> None:
    path, size = local_path(arguments.photo, "PHOTO"), arguments.size
    folder = local_path(arguments.to, "--to")
    if size < 1:
        raise UserError(f"--size: found {size}, expected a whole number from 1")
    pixels, seen = read_photograph(path)
    height, width = pixels.shape[:2]
    mask = local_path(arguments.mask, "--mask") if arguments.mask else ""
    if mask:
        seen = read_mask(mask, height, width, path)
    left, top, side = check_box(arguments.box, height, width, size)
    at = slice(top, top + side), slice(left, left + side)
    pictures = {"photo.png": shrink_by_area(pixels[at], size)}
    if seen is not None:
        small = shrink_by_minimum(seen[at], size)
        if not small.any():
            raise UserError(
                f"{mask or path}: found that none of the {size} x {size} pixels of the "
                f"square {left},{top},{side} is wholly seen, expected some; choose "
                "another --box"
            )
        pictures["mask.png"] = small[..., None] * np.uint8(255)
    record = {
        "photo": os.path.abspath(path),
        "mask": os.path.abspath(mask) if mask else "",
        "box": [left, top, side],
        "size": size,
        "photo_size": [width, height],
    }
    save(folder, pictures, record)
    unseen = "" if seen is None else f", {small.mean():.0%} of it seen"
    print(
        f"{folder}: {size} x {size} pixels of {path}, the square {left},{top},{side}"
        f"{unseen}; each pixel is {side / size:.3g} pixels of the photograph wide"
    )


def save(folder: str, pictures: dict[str, np.ndarray], record: dict) -> None:
    """Writes the pictures and the record of a crop.

    Args:
        folder: the folder to write to.
        pictures: file name -> uint8 pixels `(height, width, 1 or 3)`.
        record: the contents of `crop.json`.

    Raises:
        UserError: if the folder cannot be written, or holds another crop.
    """
    path = os.path.join(folder, "crop.json")
    if os.path.exists(path) and read_json(path, "the record of a crop") != record:
        raise UserError(f"--to={folder}: found another crop, expected a new folder")
    try:
        os.makedirs(folder, exist_ok=True)
        for name, pixels in pictures.items():
            save_pixels(os.path.join(folder, name), pixels)
        with replacing(path) as file:
            json.dump(record, file, indent=2)
            file.write("\n")
    except OSError as error:
        raise UserError(
            f"--to={folder}: cannot be written ({error.strerror})"
        ) from error


def save_pixels(path: str, pixels: np.ndarray) -> None:
    """Writes uint8 pixels `(height, width, 1 or 3)` as a PNG."""
    grey = pixels.shape[-1] == 1
    with replacing(path, "wb") as file:
        Image.fromarray(pixels[..., 0] if grey else pixels).save(file, "PNG")
