"""Draws the errors of Section 5's linear model.

python -m rtil_jax.theory --config configs/ablations/theory.py --workdir runs/theory
"""

from absl import flags
from ml_collections import config_flags

from rtil_jax.command_line import run_main
from rtil_jax.theory.experiment import run_theory


def main(_: list[str]) -> None:
    run_theory(flags.FLAGS.config, flags.FLAGS.workdir)


if __name__ == "__main__":
    config_flags.DEFINE_config_file(
        "config", None, "Theory configuration, FILE[:variant].", lock_config=True
    )
    flags.DEFINE_string("workdir", None, "Directory of the results.")
    flags.mark_flags_as_required(["config", "workdir"])
    run_main(main)
