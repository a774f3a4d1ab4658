"""Trains a generator, vanilla or with RTIL.

`python train.py ...` is `rtil train ...`, see `rtil_jax.cli.train`.
"""

import sys

from rtil_jax.cli.main import run_named

if __name__ == "__main__":
    run_named("train", sys.argv[1:], ["python", sys.argv[0]])
