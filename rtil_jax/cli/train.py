"""Trains a generator, vanilla or with RTIL.

python train.py --config configs/quickstart.py:rtil --workdir runs/rtil

The same command continues a run that has ended, whatever ended it. Ctrl-C, SIGTERM and
SIGUSR1 end it after the step at hand, which is saved, with exit code 0; on SLURM:
`sbatch --requeue --signal=USR1@120`, with `srun python train.py ...` in the script.

Several processes train as one with `--distributed` where JAX finds the others (SLURM,
TPU, Open MPI), or anywhere with these three flags; see `docs/scaling.md`:

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
        "--distributed", "One of several processes, which JAX finds by itself."
    )
    parser.add_argument(
        "--coordinator", help="HOST:PORT of process 0, where JAX cannot find it."
    )
    parser.add_argument("--num_processes", type=integer, help="How many there are.")
    parser.add_argument("--process", type=integer, help="Which one this is, from 0.")


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
