"""Recovers images from measurements with a trained prior.

`python invert.py ...` is `rtil invert ...`, see `rtil_jax.cli.invert`.
"""

import sys

from rtil_jax.cli.main import run_named

if __name__ == "__main__":
    run_named("invert", sys.argv[1:], ["python", sys.argv[0]])
