"""Draws the errors of Section 5's linear model.

python -m rtil_jax theory --config configs/ablations/theory.py --workdir runs/theory
"""

from absl import flags
from ml_collections import config_flags

from rtil_jax.cli.command_line import run_main
from rtil_jax.experiments.theory.experiment import run_theory


def run(_: list[str]) -> None:
    run_theory(flags.FLAGS.config, flags.FLAGS.workdir)


def main() -> None:
    config_flags.DEFINE_config_file(
        "config", None, "Theory configuration, FILE[:variant].", lock_config=True
    )
    flags.DEFINE_string("workdir", None, "Directory of the results.")
    flags.mark_flags_as_required(["config", "workdir"])
    run_main(run)
