"""Trains a generator, vanilla or with RTIL.

python train.py --config configs/quickstart.py:rtil --workdir runs/rtil

The same command continues a run that has ended, whatever ended it. Ctrl-C, SIGTERM and
SIGUSR1 end it after the step at hand, which is saved, with exit code 0; on SLURM:
`sbatch --requeue --signal=USR1@120`, with `srun python train.py ...` in the script.
"""

from absl import flags
from ml_collections import config_flags

from rtil_jax.command_line import run_main
from rtil_jax.training.loop import train

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Training configuration, FILE[:variant].", lock_config=True
)
WORKDIR = flags.DEFINE_string("workdir", None, "Directory of the run.")
DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print the plan and stop.")
flags.mark_flags_as_required(["config", "workdir"])


def main(_):
    train(CONFIG.value, WORKDIR.value, DRY_RUN.value)


if __name__ == "__main__":
    run_main(main)
