"""Recovers images from measurements with a trained prior.

python invert.py --config configs/invert/ilo.py --workdir runs/ilo \
    --config.priors.rtil=runs/rtil --config.priors.vanilla=runs/vanilla

The same command does what is missing. SIGTERM, SIGUSR1 and Ctrl-C end it after the
batch at hand, which is saved, and at once while programs are compiled.
"""

import argparse
import os

from rtil_jax.cli.flags import Parser, integer
from rtil_jax.experiments.inversion.shards import find_shard
from rtil_jax.experiments.inversion.sweep import run_sweep


def add_arguments(parser: Parser) -> None:
    # Priors have names of their own, so the config is open; `run_sweep` checks others.
    parser.add_config(
        "Inversion configuration, FILE[:variant].",
        "Directory of the results.",
        open=True,
    )
    parser.add_switch("--dry_run", "Check all inputs, print the plan and stop.")
    parser.add_argument(
        "--num_shards",
        "--num-shards",
        type=integer,
        help="Processes that share the work; those of a SLURM array or of srun are "
        "found.",
    )
    parser.add_argument("--shard", type=integer, help="Which of them this is, from 0.")


def run(arguments: argparse.Namespace) -> None:
    shard = find_shard(arguments.shard, arguments.num_shards, os.environ)
    run_sweep(
        arguments.config,
        arguments.workdir,
        arguments.dry_run,
        arguments.command_line,
        shard,
    )
