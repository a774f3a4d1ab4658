"""Draws the pictures of `docs/operators.md` by running the code of that page.

python docs/gallery.py
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rtil_jax.data import to_uint8

DOCS = Path(__file__).parent
SCALE, GAP = 2, 8  # of a pixel; pixels between two pictures
SECTION = r"!\[.*?\]\((images/operators/.*?)\)\n\n```python\n(.*?)```"


def main() -> None:
    """Writes `docs/images/operators/*.png`."""
    page = (DOCS / "operators.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], names)
    for path, code in re.findall(SECTION, page, re.DOTALL):
        exec(code, names)
        x, y, A = (names[name] for name in ("x", "y", "A"))
        pictures = [x, A.preview(y), *([A.pinv(y)] if hasattr(A, "pinv") else [])]
        (DOCS / path).parent.mkdir(exist_ok=True)
        side_by_side(pictures).save(DOCS / path, optimize=True)


def side_by_side(pictures: list[Any]) -> Image.Image:
    """Joins images in [-1, 1] with transparent gaps, enlarged, in few colours."""
    height, width, _ = np.shape(pictures[0])
    total = SCALE * width * len(pictures) + GAP * (len(pictures) - 1)
    joined = Image.new("RGBA", (total, SCALE * height))
    for index, picture in enumerate(pictures):
        pixels = to_uint8(np.broadcast_to(picture, (*np.shape(picture)[:2], 3)))
        one = Image.fromarray(pixels).resize((SCALE * width, SCALE * height), 0)
        joined.paste(one, (index * (SCALE * width + GAP), 0))
    return joined.quantize(192, Image.Quantize.FASTOCTREE)


if __name__ == "__main__":
    main()
