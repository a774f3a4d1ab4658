"""Trains a generator, vanilla or with RTIL.

python train.py --config configs/quickstart.py:rtil --workdir runs/rtil

The same command continues a run that has ended, whatever ended it. Ctrl-C, SIGTERM and
SIGUSR1 end it after the step at hand, which is saved, with exit code 0; on SLURM:
`sbatch --requeue --signal=USR1@120`, with `srun python train.py ...` in the script.

Several processes train as one with `--distributed` where JAX finds the others (SLURM,
TPU, Open MPI), or anywhere with these three flags; see `docs/scaling.md`:

python train.py ... --coordinator HOST:PORT --num_processes 2 --process 0
"""

import shlex
import sys

from absl import flags
from ml_collections import config_flags

from rtil_jax import distributed
from rtil_jax.cli.command_line import run_main
from rtil_jax.experiments.training.loop import train

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Training configuration, FILE[:variant].", lock_config=True
)
flags.mark_flag_as_required("config")
WORKDIR = flags.DEFINE_string("workdir", None, "Directory of the run.", required=True)
DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "Check all inputs, print the plan and stop."
)
DISTRIBUTED = flags.DEFINE_bool(
    "distributed", False, "One of several processes, which JAX finds by itself."
)
COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "HOST:PORT of process 0, where JAX cannot find it."
)
NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "How many there are.")
PROCESS = flags.DEFINE_integer("process", None, "Which one this is, from 0.")


def main(_: list[str]) -> None:
    with distributed.joined(
        DISTRIBUTED.value, COORDINATOR.value, NUM_PROCESSES.value, PROCESS.value
    ):
        command = shlex.join(["python", *sys.argv])
        train(CONFIG.value, WORKDIR.value, DRY_RUN.value, command)


if __name__ == "__main__":
    run_main(main)
