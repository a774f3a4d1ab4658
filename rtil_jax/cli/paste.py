"""Puts recovered pixels back into the photograph that `rtil crop` has cropped.

rtil paste RECOVERED.png --crop DIR --to OUT.png

It replaces only those pixels of the photograph that were not seen. DIR is the folder
that `rtil crop` has written; the photograph and its mask are read again from their old
places. The result is an upright PNG with 8 bits per channel.
"""

import argparse
import os

from rtil_jax.cli.crop import save_pixels
from rtil_jax.cli.flags import Parser
from rtil_jax.data.crops import paste_unseen, read_mask, read_photograph
from rtil_jax.errors import UserError
from rtil_jax.files import local_path, read_json


def add_arguments(parser: Parser) -> None:
    parser.add_argument("recovered", help="a picture as large as the crop")
    parser.add_argument(
        "--crop", required=True, metavar="DIR", help="the folder of rtil crop"
    )
    parser.add_argument(
        "--to", required=True, metavar="OUT.png", help="the picture to write"
    )


def run(arguments: argparse.Namespace) -> None:
    path = local_path(arguments.recovered, "RECOVERED")
    to = local_path(arguments.to, "--to")
    if not to.lower().endswith(".png"):
        raise UserError(f"--to: found {to}, expected a name that ends in .png")
    record = read_record(local_path(arguments.crop, "--crop"))
    size, (width, height) = record["size"], record["photo_size"]
    recovered, _ = read_photograph(path)
    if recovered.shape[:2] != (size, size):
        raise UserError(
            f"{path}: found {recovered.shape[1]} x {recovered.shape[0]} pixels, "
            f"expected {size} x {size}, as the crop has"
        )
    photo, seen = read_photograph(record["photo"])
    if photo.shape[:2] != (height, width):
        raise UserError(
            f"{record['photo']}: found {photo.shape[1]} x {photo.shape[0]} pixels, "
            f"expected {width} x {height}, as when it was cropped"
        )
    if record["mask"]:
        seen = read_mask(record["mask"], height, width, record["photo"])
    if seen is None:
        raise UserError(
            f"--crop={arguments.crop}: found a crop without a mask, expected a mask, "
            "which says which pixels to replace"
        )
    if os.path.exists(to) and os.path.samefile(to, record["photo"]):
        raise UserError(f"--to={to}: found the photograph itself, expected a new file")
    pasted = paste_unseen(photo, seen, recovered, tuple(record["box"]))
    try:
        save_pixels(to, pasted)
    except OSError as error:
        raise UserError(f"--to={to}: cannot be written ({error.strerror})") from error
    print(
        f"{to}: {width} x {height} pixels; unseen pixels are enlarged from {size} x "
        f"{size}"
    )


def read_record(folder: str) -> dict:
    """Reads the record of a crop; raises UserError if the folder has none."""
    path = os.path.join(folder, "crop.json")
    record = read_json(path, "the record that `rtil crop --to DIR` writes")
    wanted = {"photo", "mask", "box", "size", "photo_size"}
    if not isinstance(record, dict) or not wanted <= record.keys():
        raise UserError(f"{path}: found no record of a crop, expected {sorted(wanted)}")
    return record
