"""Cartoon faces drawn from integer seeds: a training set that needs no download.

The drawings are DiceBear's. The default style is "ToonHead" by Johan Melin
(https://www.figma.com/community/file/1589627891082866389), licensed under CC BY 4.0
(https://creativecommons.org/licenses/by/4.0/), remixed by DiceBear. Here a plain
background is added and the head is enlarged. Other styles have other authors and
licences, which each style's definition in the package `dicebear-styles` states.
"""

import importlib.metadata
import json
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from rtil_jax.data.sources import Source, fingerprint
from rtil_jax.errors import UserError

DEFAULT_STYLE = "toon-head"
DEFAULT_COUNTS = {"train": 4096, "test": 512}

# The splits are disjoint: each has a million seeds.
SEEDS_PER_SPLIT = 1_000_000
_FIRST_SEED = {"train": 0, "test": SEEDS_PER_SPLIT}

# Heads fill too little of the frame to be recognised at 32 x 32 pixels.
_FRAMING = {"toon-head": {"scale": 1.2, "translateY": 4}}
_BACKGROUNDS = ("4f9dde", "e8833a", "58b368", "d6517d", "8e6bbf", "f2c14e", "3fb8af")
_PACKAGES = ("dicebear-core", "dicebear-styles", "resvg-py")


def avatar_source(style: str, split: str, resolution: int, count: int | None) -> Source:
    """Returns cartoon faces of one style.

    Image i of a split does not depend on the count.

    Args:
        style: a style of the package `dicebear-styles`.
        split: "train" or "test".
        resolution: height and width at which the faces are drawn.
        count: the number of faces; None for 4,096 in "train" and 512 in "test".

    Raises:
        UserError: if the packages are missing or an argument is out of range.
    """
    try:
        import dicebear
        import resvg_py

        definitions = resources.files("dicebear_styles")
    except ModuleNotFoundError as error:
        raise UserError(
            "avatars: found no package that draws them, expected pip install "
            "dicebear-core dicebear-styles resvg-py"
        ) from error
    if split not in _FIRST_SEED:
        raise UserError(f"avatars: found split {split!r}, expected test or train")
    count = DEFAULT_COUNTS[split] if count is None else count
    if count > SEEDS_PER_SPLIT:
        raise UserError(
            f"avatars: found count = {count:,}, expected at most {SEEDS_PER_SPLIT:,}"
        )
    definition = _read_definition(definitions, style)
    drawable = dicebear.Style(definition)
    options: dict[str, Any] = {"size": resolution, **_FRAMING.get(style, {})}
    if "background" not in definition["colors"]:
        options["backgroundColor"] = list(_BACKGROUNDS)
    seeds = range(_FIRST_SEED[split], _FIRST_SEED[split] + count)

    def draw(index: int) -> bytes:
        avatar = dicebear.Avatar(drawable, {"seed": str(seeds[index]), **options})
        # System fonts would make the letters of a few styles depend on the machine.
        return bytes(
            resvg_py.svg_to_bytes(
                svg_string=avatar.to_string(),
                background="#ffffff",
                skip_system_fonts=True,
            )
        )

    versions = [importlib.metadata.version(package) for package in _PACKAGES]
    drawn = fingerprint([style, versions, options])[:16]
    return Source(
        location=f"avatars:{style}",
        says=f"avatars:{style} [{split}]",
        names=tuple(f"avatar_{seed:07d}.png" for seed in seeds),
        identify=lambda index: f"{drawn}-{seeds[index]}",
        read=draw,
        series=f"{drawn} {split}",
    )


def _read_definition(definitions: Traversable, style: str) -> dict:
    suffix = ".json"
    names = [entry.name for entry in definitions.iterdir()]
    styles = sorted(n.removesuffix(suffix) for n in names if n.endswith(suffix))
    if style not in styles:
        raise UserError(
            f"avatars: found style {style!r}, expected one of {', '.join(styles)}"
        )
    return json.loads(definitions.joinpath(style + suffix).read_text("utf-8"))
