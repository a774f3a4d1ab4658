"""Draws `docs/images/demo_grid.png` of the demo: one face of each of its problems.

rtil invert --config configs/invert/demo.py --workdir runs/demo/recovered
python docs/demo_picture.py runs/demo/recovered
"""

import os
import sys

import numpy as np

from rtil_jax import data
from rtil_jax.experiments import report
from rtil_jax.experiments.report.shown import load_shown

PROBLEMS = ("compressed_sensing_0.1", "inpainting_0.1", "super_resolution_0.25")
TITLES = {
    "truth": "truth",
    "measurement": "measurement",
    "vanilla, ilo": "vanilla prior",
    "rtil, ilo": "RTIL prior",
}


def main(workdir: str) -> None:
    """Face i of problem i, whichever that is."""
    shown = [
        load_shown(os.path.join(workdir, "shown", f"{problem}_measurement.npz"))
        for problem in PROBLEMS
    ]
    columns, psnr = {}, {}
    for title, name in TITLES.items():
        columns[name] = np.stack(
            [data.to_float(found.columns[title][i]) for i, found in enumerate(shown)]
        )
        if title in shown[0].psnr:
            psnr[name] = [found.psnr[title][i] for i, found in enumerate(shown)]
    folder = os.path.join(os.path.dirname(__file__), "images")
    report.image_grid(columns, os.path.join(folder, "demo_grid.png"), psnr)


if __name__ == "__main__":
    main(*sys.argv[1:])
