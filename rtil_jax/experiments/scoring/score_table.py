"""Writes scores as a Markdown table."""

import numpy as np


def score_table(scores: dict) -> str:
    """Returns a table with a row for real images and for each member.

    Without any `frechet_vgg`, its column is left out.

    Args:
        scores: from `score_prior`, or its JSON.
    """
    levels = sorted(scores["rows"][0]["swd"], key=int, reverse=True)
    has_vgg = any(row["frechet_vgg"] is not None for row in scores["rows"])
    header = ["", *(f"SWD × 10³, {n} px" for n in levels), "mean"]
    header += ["frechet_vgg"] if has_vgg else []
    lines = [header, ["---"] * len(header)]
    for row in scores["rows"]:
        swd = [1_000 * row["swd"][n] for n in levels]
        vgg = row["frechet_vgg"]
        numbers = [f"{x:.2f}" for x in (*swd, np.mean(swd))]
        numbers += ["n/a" if vgg is None else f"{vgg:.3g}"] if has_vgg else []
        lines.append([row["name"], *numbers])
    images = scores["images"]
    says = (
        f"Distances to {images['count']:,} images of {images['source']} "
        f"[{images['split']}], from the same number of images; seed {scores['seed']}. "
        "Lower is better. The first row is the floor: no GAN should be below it."
    )
    notes = [scores["left_out"]] if scores["left_out"] else []
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return "\n\n".join([table, says, *notes])
