"""Trains a generator, vanilla or with RTIL.

python train.py --config configs/quickstart.py:rtil --workdir runs/rtil

Run the same command again to continue a run that has stopped for any reason. Ctrl-C,
SIGTERM and SIGUSR1 stop it after the current step, which is saved, with exit code 0. On
SLURM use `sbatch --requeue --signal=USR1@120`, and `srun python train.py ...` in the
script.

Several processes can train together: with --distributed if JAX can find the others
(SLURM, TPU, Open MPI), or anywhere with these three flags (see docs/scaling.md):

python train.py ... --coordinator HOST:PORT --num_processes 2 --process 0
"""

import argparse

from rtil_jax import distributed
from rtil_jax.cli.flags import Parser, integer
from rtil_jax.experiments.training.loop import train


def add_arguments(parser: Parser) -> None:
    parser.add_config(
        "Training configuration, FILE[:variant].", "Directory of the run."
    )
    parser.add_switch("--dry_run", "Check all inputs, print the plan and stop.")
    parser.add_switch(
        "--distributed", "Train together with other processes, which JAX finds."
    )
    parser.add_argument(
        "--coordinator", help="HOST:PORT of process 0, if JAX cannot find it."
    )
    parser.add_argument(
        "--num_processes", type=integer, help="How many processes train together."
    )
    parser.add_argument(
        "--process", type=integer, help="Which of them this one is, from 0."
    )


def run(arguments: argparse.Namespace) -> None:
    with distributed.joined(
        arguments.distributed,
        arguments.coordinator,
        arguments.num_processes,
        arguments.process,
    ):
        train(
            arguments.config,
            arguments.workdir,
            arguments.dry_run,
            arguments.command_line,
        )
